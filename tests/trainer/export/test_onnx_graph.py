from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
import transformers
from tiny_training import configurations

from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.session import Session, collate
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.errors import ExportError
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.export.precision import quantise_to_int8
from tipstaff_trainer.export.unpadded import unpadded

LENGTHS = (40, 7, 60, 33)


def model(architecture):
    torch.manual_seed(0)
    encoder = transformers.AutoModel.from_config(
        configurations()[architecture], attn_implementation="eager"
    )
    evaluator = EvaluatorModel(encoder, marks="words").eval()
    with torch.no_grad():
        # Large enough weights for the logits of different interactions to differ.
        evaluator.head.weight.normal_()
        if evaluator.mark_input == "embedding":
            evaluator.mark_embedding.weight[1].normal_()
    return evaluator


def interactions():
    generator = np.random.default_rng(0)
    return [
        Tokens(generator.integers(5, 40, length), generator.integers(0, 2, length))
        for length in LENGTHS
    ]


@pytest.mark.parametrize("architecture", list(configurations()))
def test_the_graph_answers_as_torch_does_alone_and_padded(architecture, tmp_path):
    evaluator, batch = model(architecture), interactions()
    file = tmp_path / "model.onnx"
    export_fp32(evaluator, file)
    with torch.no_grad():
        arrays = collate(batch, pad_id=0)
        expected = evaluator(**{name: torch.from_numpy(part) for name, part in arrays.items()})
    session = Session(file.read_bytes(), pad_id=0)
    together = session.run(batch)
    assert together.logits.shape == (len(batch),)
    assert together.embeddings.shape == (len(batch), 32)
    assert np.ptp(together.logits) > 0.1
    np.testing.assert_allclose(together.logits, expected["logit"].numpy(), atol=1e-4)
    np.testing.assert_allclose(together.embeddings, expected["embedding"].numpy(), atol=1e-4)
    alone = [session.run([item]).logits[0] for item in batch]
    np.testing.assert_allclose(alone, expected["logit"].numpy(), atol=1e-4)


@pytest.mark.parametrize("architecture", list(configurations()))
def test_int8_is_near(architecture, tmp_path):
    evaluator, batch = model(architecture), interactions()
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    export_fp32(evaluator, fp32)
    quantise_to_int8(fp32, int8)
    session, exact = (Session(file.read_bytes(), pad_id=0) for file in (int8, fp32))
    for item in batch:
        assert abs(session.run([item]).logits[0] - exact.run([item]).logits[0]) < 0.15
    operators = {node.op_type for node in onnx.load(int8).graph.node}
    assert operators & {"MatMulInteger", "DynamicQuantizeLinear", "QAttention"}


@pytest.mark.parametrize("architecture", list(configurations()))
def test_a_graph_for_single_requests_takes_no_mask_and_answers_the_same(architecture, tmp_path):
    masked, single = tmp_path / "masked.onnx", tmp_path / "single.onnx"
    export_fp32(model(architecture), masked)
    onnx.save(unpadded(onnx.load(masked)), single)
    one, other = (Session(file.read_bytes(), pad_id=0) for file in (single, masked))
    assert (one.masked, other.masked) == (False, True)
    for item in interactions():
        found, expected = one.run([item]), other.run([item])
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-4)
        np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=1e-4)
    with pytest.raises(ValueError, match="one request at a time"):
        one.run(interactions()[:2])
    assert not one.is_batch_invariant(interactions())


def test_fused_attention_is_unmasked_for_single_requests(tmp_path):
    export_fp32(model("bert"), tmp_path / "model.onnx")
    graph = unpadded(onnx.load(tmp_path / "model.onnx")).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("MultiHeadAttention") == 2
    assert "Attention" not in operators


def test_attention_is_fused_for_bert(tmp_path):
    export_fp32(model("bert"), tmp_path / "model.onnx")
    operators = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert operators.count("Attention") == 2
    assert "EmbedLayerNormalization" in operators


def test_what_cannot_be_traced_is_named(tmp_path, monkeypatch):
    evaluator = model("bert")

    def untraceable(*_, **__):
        raise NotImplementedError("no such operator")

    monkeypatch.setattr("tipstaff_trainer.export.onnx_graph.export", untraceable)
    with pytest.raises(ExportError, match="'bert' can't be exported to ONNX: no such operator"):
        export_fp32(evaluator, tmp_path / "model.onnx")
