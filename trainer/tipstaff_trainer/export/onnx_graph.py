"""Writes the trained model as an ONNX graph: exported by optimum, fused by onnxruntime."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from optimum.exporters.onnx import export
from optimum.exporters.onnx.config import TextEncoderOnnxConfig
from optimum.utils import DummyTextInputGenerator, NormalizedTextConfig

from tipstaff_server.evaluator.evidence import NAMES
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.session import INPUTS, OUTPUTS, Session
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.errors import ExportError, first_line
from tipstaff_trainer.progress import Reporter

_OPSET = 18
_TOKEN_INPUTS = tuple(name for name in INPUTS if name != "evidence")
# Fusions reorder sums; larger differences of the logits mean that a fusion is wrong.
_FUSION_TOLERANCE = 1e-3


class _DummyInputs(DummyTextInputGenerator):  # type: ignore[misc]
    SUPPORTED_INPUT_NAMES = INPUTS

    def generate(self, input_name: str, framework: str = "pt", **_: Any) -> torch.Tensor:
        if input_name == "evidence":
            return torch.rand((self.batch_size, len(NAMES)))
        shape = (self.batch_size, self.sequence_length)
        if input_name == "input_ids":
            return torch.randint(0, self.vocab_size, shape)
        return torch.ones(shape, dtype=torch.int64)


class _TokensOnnxConfig(TextEncoderOnnxConfig):  # type: ignore[misc]
    """An evaluator's inputs and outputs, for optimum."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (_DummyInputs,)

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        return {name: {0: "batch", 1: "length"} for name in _TOKEN_INPUTS}

    @property
    def outputs(self) -> dict[str, dict[int, str]]:
        return OrderedDict((name, {0: "batch"}) for name in OUTPUTS)


class _EvidenceOnnxConfig(_TokensOnnxConfig):
    """The same with lexical evidence."""

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        return super().inputs | {"evidence": {0: "batch"}}


def export_fp32(
    model: EvaluatorModel, file: Path, *, fuse: bool = True, reporter: Reporter | None = None
) -> None:
    """Writes the model to `file` as an fp32 graph with outputs `logit` and `embedding`.

    Where the fusions fail or change the logits, the unfused graph is written.

    Args:
        model: The trained model, in evaluation mode.
        file: The file to write.
        fuse: Use onnxruntime's own operators; other runtimes don't know them.
        reporter: Takes a warning where these can't be used.

    Raises:
        ExportError: The architecture can't be traced.
    """
    architecture = model.config.model_type
    try:
        with warnings.catch_warnings():
            # The tracer warns of every Python branch in transformers; parity is measured below.
            warnings.simplefilter("ignore")
            with_evidence = model.lexical_head is not None
            config = _EvidenceOnnxConfig if with_evidence else _TokensOnnxConfig
            export(model, config(model.config), file, opset=_OPSET)
    except Exception as error:
        message = f"can't be exported to ONNX: {first_line(error)}"
        raise ExportError(f"the architecture {architecture!r} {message}") from error
    onnx.checker.check_model(str(file))
    if fuse:
        _fuse(file, model, reporter or Reporter())


def _fuse(file: Path, model: EvaluatorModel, reporter: Reporter) -> None:
    fused_file = file.with_suffix(".fused.onnx")
    options = FusionOptions("bert")
    # On CPUs the fused kernel takes two to three times as long as the nodes it replaces; on CUDA
    # onnxruntime fuses them by itself.
    options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = False
    # Without this fusion the int8 product before it adds the bias, in one pass over its output: the
    # graph takes 5 % less time.
    options.enable_bias_gelu = False
    try:
        fused = optimizer.optimize_model(
            str(file),
            model_type="bert",
            num_heads=model.config.num_attention_heads,
            hidden_size=model.config.hidden_size,
            opt_level=0,
            optimization_options=options,
        )
        fused.save_model_to_file(str(fused_file))
        difference = _largest_difference(file, fused_file, model.config.vocab_size)
    except Exception as error:  # as for an architecture that the fusions don't know
        reporter.warn(f"onnxruntime's fusions fail for this architecture, left out: {error}")
    else:
        if difference <= _FUSION_TOLERANCE:
            fused_file.replace(file)
            return
        reporter.warn(f"onnxruntime's fusions change the logits by {difference:.4f}, left out")
    fused_file.unlink(missing_ok=True)


def _largest_difference(one: Path, other: Path, vocabulary: int) -> float:
    generator = np.random.default_rng(0)
    batch = [
        Tokens(
            generator.integers(0, vocabulary, length),
            generator.integers(0, 2, length),
            generator.random(len(NAMES), dtype=np.float32),
        )
        for length in (5, 32, 17)
    ]
    sessions = [Session(file.read_bytes(), pad_id=0) for file in (one, other)]
    # With padding and without, since a fusion may lose the attention mask.
    logits = [
        np.concatenate([session.run(part).logits for part in (batch, batch[:1])])
        for session in sessions
    ]
    return float(np.abs(logits[0] - logits[1]).max())
