"""From fp32 to what devices are quick at: int8 for CPUs, fp16 for GPUs."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from tipstaff_trainer.export.unpadded import unpadded


def convert_to_fp16(source: Path, target: Path) -> None:
    """Writes the fp32 graph `source` to `target` in fp16; its outputs stay fp32."""
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def quantise_to_int8(source: Path, target: Path) -> None:
    """Writes the fp32 graph `source` to `target` in int8, for runs of one request.

    A run of one has an exact, repeatable answer under dynamic quantisation, and a batch would not:
    see `Graph.batch_invariant`.
    """
    with tempfile.TemporaryDirectory() as folder:
        single = Path(folder) / "single.onnx"
        onnx.save(unpadded(onnx.load(source)), single)
        quantise_linear_layers(single, target)


def quantise_linear_layers(source: Path, target: Path) -> None:
    """Writes the fp32 graph `source` to `target` with its linear layers in int8.

    Dynamic quantisation: weights are int8, one scale for each output channel; activations are
    quantised as they come, by the range of the whole run.
    """
    root = logging.getLogger()
    level = root.level
    # The quantiser advises on the root logger to preprocess what has been preprocessed.
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
                # Not the embedding tables: they cost no time, and int8 would cost accuracy.
                op_types_to_quantize=["MatMul", "Gemm"],
                extra_options={
                    "MatMulConstBOnly": True,
                    # Shape inference stops at onnxruntime's own fused operators.
                    "DefaultTensorType": onnx.TensorProto.FLOAT,
                },
            )
    finally:
        root.setLevel(level)
