"""Variants of one fp32 graph for `engines.py`: the quantisations that were tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from tipstaff_trainer.export.precision import quantise_linear_layers

Feeds = Mapping[str, npt.NDArray[np.int64]]

_EXTRA = {"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT}
_SMOOTHING = 0.5


def linear_layers(source: Path) -> dict[str, tuple[int, ...]]:
    """The MatMul nodes with a constant weight: each node's name and its weight's shape."""
    model = onnx.load(source)
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return {
        node.name: weights[node.input[1]]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights
    }


def dynamic_int8(source: Path, target: Path) -> Path:
    """Quantises activations at run time, with the export's own function."""
    quantise_linear_layers(source, target)
    return target


def static_int8(
    source: Path, target: Path, calibration: Sequence[Feeds], leave: Sequence[str] = ()
) -> Path:
    """Quantises activations with ranges from calibration rows; layers in `leave` stay fp32."""
    quantize_static(
        _prepared(source, target),
        target,
        _Reader(source, calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        nodes_to_exclude=list(leave),
        extra_options=_EXTRA,
    )
    return target


def matmul_nbits(source: Path, target: Path) -> Path:
    """Quantises weights to 8 bits in blocks and activations by row, as for language models."""
    quantiser = MatMulNBitsQuantizer(
        onnx.load(source),
        algo_config=DefaultWeightOnlyQuantConfig(
            block_size=32, is_symmetric=True, accuracy_level=4, bits=8
        ),
    )
    quantiser.process()
    quantiser.model.save_model_to_file(str(target))
    return target


def weights_int8(source: Path, target: Path) -> Path:
    """Stores weights in int8 with dequantisation nodes; a runtime may quantise the activations."""
    model = onnx.load(source)
    graph, nodes = model.graph, []
    layers, weights = linear_layers(source), _weights(model)
    for node in graph.node:
        if node.name in layers:
            weight, name = weights[node.input[1]], node.input[1]
            scale = (np.abs(weight).max(axis=0) / 127).astype(np.float32)
            quantised = np.round(weight / scale).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(quantised, f"{name}_int8"))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
            parts = [f"{name}_int8", f"{name}_scale"]
            nodes.append(helper.make_node("DequantizeLinear", parts, [f"{name}_wide"], axis=1))
            node.input[1] = f"{name}_wide"
        nodes.append(node)
    _save(model, nodes, target)
    return target


def smoothed(source: Path, target: Path, calibration: Sequence[Feeds]) -> Path:
    """Moves part of the activations' spread into the weights; the graph computes the same.

    SmoothQuant (Xiao et al. 2023), except that the division is a separate product: in BERT the
    layer normalisation before a linear layer also feeds the residual, so it can't absorb it.
    """
    model = onnx.load(source)
    graph, nodes, layers = model.graph, [], linear_layers(source)
    weights, maxima = _weights(model), dict(_channel_maxima(source, calibration))
    for node in graph.node:
        if node.name in layers:
            tokens, name = node.input
            factor = maxima[tokens] ** _SMOOTHING / np.maximum(
                np.abs(weights[name]).max(axis=1) ** (1 - _SMOOTHING), 1e-5
            )
            factor = np.maximum(factor, 1e-5).astype(np.float32)
            smooth = f"{node.name}_smooth"
            graph.initializer.append(numpy_helper.from_array(1 / factor, f"{smooth}_by"))
            graph.initializer.append(
                numpy_helper.from_array(weights[name] * factor[:, None], f"{smooth}_weight")
            )
            nodes.append(helper.make_node("Mul", [tokens, f"{smooth}_by"], [smooth]))
            node.input[:] = [smooth, f"{smooth}_weight"]
        nodes.append(node)
    _save(model, nodes, target)
    return target


def _channel_maxima(
    source: Path, calibration: Sequence[Feeds]
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """The largest magnitude in each input channel of each linear layer."""
    model = onnx.load(source)
    layers = linear_layers(source)
    inputs = sorted({node.input[0] for node in model.graph.node if node.name in layers})
    for name in inputs:
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = SessionOptions()
    options.log_severity_level = 3
    session = InferenceSession(model.SerializeToString(), options)
    input_names = [each.name for each in session.get_inputs()]
    maxima = [np.float32(0)] * len(inputs)
    for feeds in calibration:
        outputs = session.run(inputs, {name: feeds[name] for name in input_names})
        maxima = [
            np.maximum(one, np.abs(each).reshape(-1, each.shape[-1]).max(axis=0))
            for one, each in zip(maxima, outputs, strict=True)
        ]
    yield from zip(inputs, maxima, strict=True)


def _weights(model: onnx.ModelProto) -> dict[str, npt.NDArray[np.float32]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _save(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], target: Path) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(initializers)
    onnx.save(model, target)


def _prepared(source: Path, target: Path) -> Path:
    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_optimization=True, skip_symbolic_shape=True)
    return prepared


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Yields calibration rows, reduced to the inputs of one graph."""

    def __init__(self, source: Path, rows: Sequence[Feeds]) -> None:
        names = {each.name for each in onnx.load(source).graph.input}
        self._rows = iter(
            [{name: feeds[name] for name in feeds if name in names} for feeds in rows]
        )

    def get_next(self) -> Feeds | None:
        return next(self._rows, None)
