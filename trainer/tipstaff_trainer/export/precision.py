"""Converts an fp32 graph to the precision of a device: int8 for CPUs, fp16 for GPUs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from tipstaff_trainer.export.unpadded import unpadded


def convert_to_fp16(source: Path, target: Path) -> None:
    """Writes the fp32 graph `source` to `target` in fp16; its outputs stay fp32."""
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def quantise_to_int8(source: Path, target: Path, *, wide: Collection[str] = ()) -> None:
    """Writes the fp32 graph `source` to `target` in int8, for runs of one request.

    Under dynamic quantisation the answer of a single run can be repeated exactly, and that of a
    batch can't: see `Graph.batch_invariant`.

    Args:
        source: The exported model.
        target: The file to write.
        wide: Names of linear layers that stay in fp32 (`int8_error.rank_layers`).
    """
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder) / "single.onnx"
        onnx.save(unpadded(onnx.load(source)), single)
        quantise_linear_layers(single, target, wide=wide)


def quantise_linear_layers(source: Path, target: Path, *, wide: Collection[str] = ()) -> None:
    """Writes the fp32 graph `source` to `target` with its linear layers in int8, but for some.

    Dynamic quantisation: weights are int8, with a scale for each output channel; activations are
    quantised at run time, with the range of the whole run. Where this processor's kernels saturate
    (`kernels_saturate`), weights use seven of the eight bits, which is right on every processor.
    """
    root = logging.getLogger()
    level = root.level
    # The quantiser logs advice to preprocess the graph, although that is done.
    root.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            # Fusions are done; onnxruntime's own would bake in this machine's instruction set.
            quant_pre_process(
                str(source), str(prepared), skip_optimization=True, skip_symbolic_shape=True
            )
            quantize_dynamic(
                prepared,
                target,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=kernels_saturate(),
                # Without the embedding tables: they cost no time, and int8 would cost accuracy.
                op_types_to_quantize=["MatMul", "Gemm"],
                nodes_to_exclude=sorted(wide),
                extra_options={
                    "MatMulConstBOnly": True,
                    # Shape inference stops at onnxruntime's own fused operators.
                    "DefaultTensorType": onnx.TensorProto.FLOAT,
                },
            )
    finally:
        root.setLevel(level)


@cache
def kernels_saturate() -> bool:
    """Whether onnxruntime's int8 kernels lose large sums on this processor.

    Without VNNI instructions x86 adds two products of 8 bits in 16 bits and cuts larger sums, such
    as 2 x 255 x 127. Scores then differ from the trained model's by more than rounding.
    """
    size = 64
    weights = numpy_helper.from_array(np.full((size, size), 127, np.int8), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["inputs", "weights"], ["sums"])],
        "probe",
        [helper.make_tensor_value_info("inputs", TensorProto.UINT8, [1, size])],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, [1, size])],
        [weights],
    )
    # Old versions, which onnxruntime reads: the onnx package's own may be too new for it.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"inputs": np.full((1, size), 255, np.uint8)})
    return bool((sums != 255 * 127 * size).any())
