"""Ranks linear layers by what int8 costs them, to keep the worst in fp32.

Dynamic quantisation gives all activations of a run one scale. Where a few channels or tokens are
hundreds of times as large as the others (Bondarenko et al. 2021, "Understanding and overcoming the
challenges of efficient transformer quantization"), that scale is too coarse for the rest. Such
outliers are in few layers, so most of the time that int8 saves can be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions

from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.session import INPUTS, collate
from tipstaff_trainer.export.unpadded import unpadded

Matrix = npt.NDArray[np.float32]

# Enough to rank layers: their errors differ by orders of magnitude.
_RUNS = 48
_TOKENS = 8


def rank_layers(fp32_file: Path, runs: Sequence[Tokens], *, reduce_range: bool) -> list[str]:
    """Names the linear layers that int8 would change, those first that it changes most.

    A layer's error is the mean square that int8 changes in an output channel, over the variance of
    that channel, on tokens of some runs; its mean over the channels.

    Args:
        fp32_file: The exported model.
        runs: Runs of real rows.
        reduce_range: Whether weights have seven bits, as `precision.kernels_saturate` tells.
    """
    model = unpadded(onnx.load(fp32_file))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [
        node
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights
    ]
    inputs = _inputs_of(model, sorted({node.input[0] for node in layers}), runs)
    errors = {
        node.name: _error(inputs[node.input[0]], _weight(node, weights), 7 if reduce_range else 8)
        for node in layers
    }
    return sorted(errors, key=lambda name: -errors[name])


def _inputs_of(
    model: onnx.ModelProto, names: Sequence[str], runs: Sequence[Tokens]
) -> dict[str, tuple[Matrix, Matrix]]:
    """Some tokens' activations, each of shape (tokens, channels): in fp32, and as int8 has them."""
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    takes = [item.name for item in session.get_inputs() if item.name in INPUTS]
    parts: dict[str, list[tuple[Matrix, Matrix]]] = {name: [] for name in names}
    places = np.unique(np.linspace(0, len(runs) - 1, min(_RUNS, len(runs))).astype(int))
    for place in places.tolist():
        arrays = collate([runs[place]], pad_id=0)
        values = session.run(names, {name: arrays[name] for name in takes})
        for name, value in zip(names, values, strict=True):
            rows = value.reshape(-1, value.shape[-1])
            some = np.unique(np.linspace(0, len(rows) - 1, min(_TOKENS, len(rows))).astype(int))
            parts[name].append((rows[some], _quantised(rows)[some]))
    return {
        name: (np.concatenate([one for one, _ in each]), np.concatenate([int8 for _, int8 in each]))
        for name, each in parts.items()
    }


def _quantised(run: Matrix) -> Matrix:
    """A run's activations in 8 bits from the least to the largest, as `DynamicQuantizeLinear`."""
    low, high = min(0.0, float(run.min())), max(0.0, float(run.max()))
    scale = (high - low) / 255 or 1.0
    zero = np.round(-low / scale)
    rounded: Matrix = (np.clip(np.round(run / scale) + zero, 0, 255) - zero) * np.float32(scale)
    return rounded


def _error(inputs: tuple[Matrix, Matrix], weight: Matrix, bits: int) -> float:
    """The mean over channels of the relative error of a product with a weight of shape (in, out).

    Relative to each channel's own variance: one channel with outliers, which the next layers damp,
    would hide what the others lose.
    """
    exact, int8 = inputs
    scale = np.abs(weight).max(axis=0) / (2 ** (bits - 1) - 1)
    scale[scale == 0] = 1.0
    outputs = exact @ weight
    difference = int8 @ (np.round(weight / scale) * scale) - outputs
    variance = outputs.var(axis=0)
    variance[variance == 0] = 1.0
    return float((np.square(difference).mean(axis=0) / variance).mean())


def _weight(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> Matrix:
    weight: Matrix = numpy_helper.to_array(weights[node.input[1]]).astype(np.float32)
    transposed = any(
        each.name == "transB" and helper.get_attribute_value(each) for each in node.attribute
    )
    return weight.T if transposed else weight
