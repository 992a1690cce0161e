"""A bundle's graphs are as narrow as the model's decisions allow, and never missing."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
import transformers
from onnx import numpy_helper
from tiny_training import configurations, tiny_rows, tiny_tokenizer

from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Encoding
from tipstaff_server.evaluator.session import Session
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.errors import ExportError
from tipstaff_trainer.export import graphs as ladder
from tipstaff_trainer.export.golden import candidates_of_rows
from tipstaff_trainer.export.graph import RowSet
from tipstaff_trainer.export.graphs import GraphBuilder
from tipstaff_trainer.export.int8_error import rank_layers
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.export.precision import quantise_to_int8
from tipstaff_trainer.progress import Reporter

OUTLIER = 3000.0
BROKEN = "layer.1/output/dense/MatMul"


class Notes(Reporter):
    def __init__(self):
        self.notes, self.warnings = [], []

    def note(self, message, *, remedy=""):
        self.notes.append(message)

    def warn(self, message, *, remedy=""):
        self.warnings.append(message)


def model(*, outlier):
    """A random BERT whose second feed-forward layer matters.

    With an outlier, one of that layer's inputs is huge and counts for nothing: no logit changes,
    but int8 has no steps left for the other inputs.
    """
    torch.manual_seed(0)
    encoder = transformers.AutoModel.from_config(
        configurations()["bert"], attn_implementation="eager"
    )
    evaluator = EvaluatorModel(encoder, marks="words").eval()
    layer = evaluator.encoder.encoder.layer[1]
    with torch.no_grad():
        evaluator.head.weight.normal_()
        layer.intermediate.dense.weight.normal_(std=0.5)
        layer.output.dense.weight.normal_(std=2)
        layer.intermediate.dense.weight[0] = 0
        layer.output.dense.weight[:, 0] = 0
        layer.intermediate.dense.bias[0] = OUTLIER if outlier else 1.0
    return evaluator


@pytest.fixture(scope="module")
def encoded():
    encoding = Encoding(
        order=("output", "ground_truth", "input"),
        marks="words",
        max_length=64,
        cls_id=2,
        sep_id=3,
        pad_id=0,
    )
    encoder = Encoder(tiny_tokenizer().backend_tokenizer.to_str(), encoding)
    return [(row, encoder.encode(row.interaction)) for row in tiny_rows(400)]


@pytest.fixture
def builder(tmp_path, encoded):
    """Makes a builder of a model's graphs, with labels that the model gets right."""

    def make(evaluator):
        rows, texts = zip(*encoded, strict=True)
        logits = torch_logits(evaluator, texts, pad_id=0)
        # The head's bias, so that half of the rows are good.
        with torch.no_grad():
            evaluator.head.bias -= float(np.median(logits))
        logits = torch_logits(evaluator, texts, pad_id=0)
        labelled = [
            replace(row, label=float(logit > 0)) for row, logit in zip(rows, logits, strict=True)
        ]
        half = len(rows) // 2
        row_sets = {
            name: RowSet(labelled[part], texts[part], logits[part])
            for name, part in (("train", slice(half)), ("validation", slice(half, None)))
        }
        (tmp_path / "work").mkdir()
        (tmp_path / "bundle").mkdir()
        file = tmp_path / "work" / "model.onnx"
        export_fp32(evaluator, file)
        return GraphBuilder(
            fp32_file=file,
            work=tmp_path / "work",
            folder=tmp_path / "bundle",
            pad_id=0,
            row_sets=row_sets,
            golden=candidates_of_rows(labelled[half:], texts[half:], 4),
            reporter=Notes(),
        )

    return make


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def fp32_products(file):
    """The names of the linear layers that a graph has in fp32."""
    graph = onnx.load(file).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [
        node.name for node in graph.node if node.op_type == "MatMul" and node.input[1] in weights
    ]


def test_where_int8_is_good_enough_its_graph_is_as_ever(builder, tmp_path):
    made = builder(model(outlier=False))
    (measured,) = made.build(["int8"])
    assert measured.graph.precision == "int8"
    assert measured.graph.wide_layers == ()
    quantise_to_int8(made.fp32_file, tmp_path / "alone.onnx")
    assert sha256(tmp_path / "bundle" / "model.int8.onnx") == sha256(tmp_path / "alone.onnx")
    assert not made.reporter.notes + made.reporter.warnings


def test_the_layer_with_outliers_ranks_first(builder):
    made = builder(model(outlier=True))
    assert BROKEN in rank_layers(made.fp32_file, made._runs, reduce_range=True)[0]


def test_the_layer_with_outliers_stays_in_fp32(builder, tmp_path):
    made = builder(model(outlier=True))
    (measured,) = made.build(["int8"])
    graph = measured.graph
    assert (graph.precision, graph.file) == ("int8", "model.int8.onnx")
    assert len(graph.wide_layers) == 1
    assert BROKEN in graph.wide_layers[0]
    assert fp32_products(tmp_path / "bundle" / graph.file) == list(graph.wide_layers)
    assert graph.parity.changed_low <= 0.02
    assert graph.parity.auroc_torch - graph.parity.auroc_graph <= 0.01
    assert not graph.batch_invariant
    assert sorted(file.name for file in (tmp_path / "bundle").iterdir()) == sorted(graph.files)
    (note,) = made.reporter.notes
    assert note.startswith("the int8 graph ")
    assert "so 1 of its 9 linear layers stay in fp32: a run takes " in note
    assert "all in int8 and " in note
    # What was measured is what is served: the file gives the logits that its golden scores have.
    session = Session((tmp_path / "bundle" / graph.file).read_bytes(), pad_id=0)
    runs = [one.runs[0] for one in made.row_sets["validation"].encoded[:20]]
    torch_says = made.row_sets["validation"].torch[:20]
    served = [float(session.run([run]).logits[0]) for run in runs]
    assert np.abs(served - torch_says).max() < np.ptp(torch_says) / 10


def test_where_no_mixture_suffices_the_graph_is_fp32_and_that_is_said(
    builder, tmp_path, monkeypatch
):
    monkeypatch.setattr(ladder, "rank_layers", lambda *_, **__: rank_layers(*_, **__)[::-1])
    made = builder(model(outlier=True))
    (measured,) = made.build(["int8", "fp32"])
    assert (measured.graph.precision, measured.graph.wide_layers) == ("fp32", ())
    assert sorted(file.name for file in (tmp_path / "bundle").iterdir()) == sorted(
        measured.graph.files
    )
    (warning,) = made.reporter.warnings
    assert "so the bundle has an fp32 graph in its place: a run takes " in warning
    assert "ms all in int8" in warning


def test_a_graph_that_gives_no_numbers_becomes_fp32(builder, monkeypatch):
    """As fp16 does where its range ends, on hardware that computes in it."""

    def overflowing(source, target):
        broken = onnx.load(source)
        bias = next(each for each in broken.graph.initializer if each.name == "head.bias")
        bias.CopyFrom(numpy_helper.from_array(np.full(1, np.nan, np.float32), bias.name))
        onnx.save(broken, target)

    monkeypatch.setattr("tipstaff_trainer.export.graph.convert_to_fp16", overflowing)
    made = builder(model(outlier=False))
    (measured,) = made.build(["fp16"])
    assert measured.graph.precision == "fp32"
    assert (
        "the fp16 graph gives no number on 200 of 200 validation rows" in made.reporter.warnings[0]
    )


def test_a_converter_that_fails_costs_the_precision_not_the_bundle(builder, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no such operator\nand much more")

    monkeypatch.setattr("tipstaff_trainer.export.graph.quantise_to_int8", broken)
    made = builder(model(outlier=False))
    (measured,) = made.build(["int8"])
    assert measured.graph.precision == "fp32"
    assert "the int8 graph can't be made: no such operator, so" in made.reporter.warnings[0]


def test_an_fp32_graph_that_is_not_the_model_is_refused(builder):
    made = builder(model(outlier=False))
    other = {name: replace(part, torch=-part.torch) for name, part in made.row_sets.items()}
    with pytest.raises(ExportError, match="the fp32 graph"):
        replace(made, row_sets=other).build(["int8"])


@pytest.mark.parametrize("needed", range(1, 73))
def test_few_attempts_find_nearly_the_fewest_layers(needed):
    tried = []

    def attempt(count):
        tried.append(count)
        return count if count >= needed else None

    result = ladder.fewest(73, attempt)
    if needed > 64:
        assert result is None
    else:
        assert needed <= result <= max(needed, needed * 4 / 3)
    assert len(tried) == len(set(tried)) <= 9
    assert max(tried) < 73
    if needed <= 2:
        assert tried[-1] == needed == len(tried)


def test_where_all_layers_must_be_wide_there_is_no_mixture():
    assert ladder.fewest(9, lambda count: None) is None
    assert ladder.fewest(1, lambda count: count) is None
