"""A run that is trained ends with a bundle, or goes on from its weights."""

from __future__ import annotations

import pytest
import torch
import transformers
from tiny_training import tiny_rows, tiny_tokenizer, train_bundle

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import ExportError
from tipstaff_trainer.progress import TerminalReporter

WEIGHTS = "training/weights.safetensors"


def settings(base, **changes):
    options = {"base": str(base), "epochs": 2, "max_length": 64, "learning_rate": 1e-3}
    return TrainSettings(**options | changes)


@pytest.fixture
def outliers(bert, tmp_path):
    """A base whose last layer has one huge activation, which counts for nothing."""
    encoder = transformers.AutoModel.from_pretrained(bert)
    layer = encoder.encoder.layer[1]
    with torch.no_grad():
        layer.intermediate.dense.weight.normal_(std=0.5)
        layer.output.dense.weight.normal_(std=2)
        layer.intermediate.dense.weight[0] = 0
        layer.output.dense.weight[:, 0] = 0
        layer.intermediate.dense.bias[0] = 3000
    encoder.save_pretrained(tmp_path / "outliers")
    tiny_tokenizer().save_pretrained(tmp_path / "outliers")
    return tmp_path / "outliers"


def test_a_base_with_outliers_gets_a_bundle(outliers, tmp_path, capsys):
    rows = tiny_rows(600)
    # Only the head learns, since the outlier makes any step of its layer's weights huge.
    bundle = train_bundle(
        rows,
        tmp_path / "b",
        settings(
            outliers, learning_rate=1e-6, head_rate_factor=1000, validation_size=0.4, evidence=False
        ),
        reporter=TerminalReporter(),
    )
    (graph,) = bundle.manifest.graphs
    assert graph.precision == "int8"
    assert 0 < len(graph.wide_layers) < 9
    assert "layer.1/output/dense" in graph.wide_layers[0]
    said = capsys.readouterr().err
    assert "note: the int8 graph " in said
    assert "linear layers stay in fp32: a run takes" in said
    assert "linear layers stay in fp32" in (bundle.path / "card.md").read_text()
    evaluator = Evaluator.load(bundle.path)
    evaluator.warm_up()
    assert evaluator.degraded == ""
    assert not evaluator.batchable


@pytest.mark.parametrize("size", ["full", "small"])
def test_what_fails_after_the_training_loses_no_weights(bert, tmp_path, monkeypatch, capsys, size):
    out = tmp_path / "b"

    def train():
        return train_bundle(
            tiny_rows(100), out, settings(bert, size=size), reporter=TerminalReporter()
        )

    def broken(*_, **__):
        raise RuntimeError("no such operator")

    with monkeypatch.context() as patch:
        patch.setattr("tipstaff_trainer.export.graphs.build_graph", broken)
        with pytest.raises(ExportError, match="model is trained, but no such operator") as failure:
            train()
    assert str(out / WEIGHTS) in failure.value.remedy
    weights = (out / WEIGHTS).read_bytes()
    assert not (out / "manifest.json").exists()
    # It doesn't train again.
    monkeypatch.setattr("tipstaff_trainer.operations.distillation.train_model", broken)
    bundle = train()
    assert "the model is trained already" in capsys.readouterr().err
    assert (out / WEIGHTS).read_bytes() == weights
    assert Bundle.open(out).manifest == bundle.manifest
    assert bundle.manifest.quality["validation"].n == 20
