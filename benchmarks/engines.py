"""Compares engines for one evaluator on a CPU: speed, and distance from the trained model.

    python benchmarks/engines.py RUN DATA [--peak-gops 640]

RUN is a folder that `tipstaff train` wrote, with `training/weights.safetensors` beside its bundle;
DATA is the file it was trained on; quality is measured on the run's own validation split. Each
engine runs one request of 64 tokens at a time on one thread; times are medians of interleaved
rounds. `peak` is the linear layers' operations divided by the whole graph's time, as a share of the
processor's int8 peak (with VNNI: 2 units x 64 products x 2 operations a cycle). Prints one JSON
object per engine. OpenVINO is skipped where it isn't installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from graph_variants import (
    Feeds,
    dynamic_int8,
    linear_layers,
    matmul_nbits,
    smoothed,
    static_int8,
    weights_int8,
)
from safetensors.torch import load_model
from sklearn.metrics import roc_auc_score

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.session import Session, collate
from tipstaff_trainer.data import read_rows, split_rows, without_groups_of
from tipstaff_trainer.distil.lexical import LexicalHead
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.encoders.base import find_base
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.export.unpadded import unpadded

Run = Callable[[Tokens], float]

_LENGTH = 64
_ROUNDS = 60
_CALIBRATION_ROWS = 128


def in_onnxruntime(file: Path, pad_id: int) -> Run:
    """Runs a graph in the server's own session, on one thread."""
    session = Session(file.read_bytes(), pad_id=pad_id)
    return lambda item: float(session.run([item]).logits[0])


def in_openvino(file: Path, pad_id: int, **properties: Any) -> Run:
    """Runs a graph in OpenVINO, on one thread."""
    import openvino

    compiled = openvino.Core().compile_model(
        str(file),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
            **properties,
        },
    )
    request, names = compiled.create_infer_request(), {port.any_name for port in compiled.inputs}

    def run(item: Tokens) -> float:
        feeds = collate([item], pad_id)
        outputs = request.infer({name: feeds[name] for name in names})
        return float(outputs["logit"].ravel()[0])

    return run


def engines(
    model: EvaluatorModel, folder: Path, pad_id: int, calibration: Sequence[Feeds]
) -> Iterator[tuple[str, Run]]:
    """Yields each engine with its name, fp32 first."""
    plain, fused, single = (folder / f"{name}.onnx" for name in ("plain", "fused", "single"))
    export_fp32(model, plain, fuse=False)
    export_fp32(model, fused)
    onnx.save(unpadded(onnx.load(fused)), single)
    smooth = smoothed(single, folder / "smooth.onnx", calibration)
    wide = [name for name, shape in linear_layers(single).items() if shape[0] > shape[1]]

    yield "onnxruntime fp32", in_onnxruntime(fused, pad_id)
    graphs: dict[str, Callable[[], Path]] = {
        "dynamic int8, padded attention": lambda: dynamic_int8(fused, folder / "d0.onnx"),
        "dynamic int8 (shipped)": lambda: dynamic_int8(single, folder / "d1.onnx"),
        "dynamic int8, smoothed": lambda: dynamic_int8(smooth, folder / "d2.onnx"),
        "static int8": lambda: static_int8(single, folder / "s0.onnx", calibration),
        "static int8, smoothed": lambda: static_int8(smooth, folder / "s1.onnx", calibration),
        "static int8, FFN outputs fp32": lambda: static_int8(
            single, folder / "s2.onnx", calibration, leave=wide
        ),
        "static int8, smoothed, FFN outputs fp32": lambda: static_int8(
            smooth, folder / "s3.onnx", calibration, leave=wide
        ),
        "MatMulNBits, 8 bits": lambda: matmul_nbits(single, folder / "n.onnx"),
    }
    for name, make in graphs.items():
        yield name, in_onnxruntime(make(), pad_id)
    if find_spec("openvino"):
        quantised = weights_int8(plain, folder / "w.onnx")
        yield "OpenVINO fp32", in_openvino(plain, pad_id)
        # Slow where the processor has no bfloat16 products and must emulate them.
        yield "OpenVINO bf16", in_openvino(plain, pad_id, INFERENCE_PRECISION_HINT="bf16")
        for size in (64, 384):
            yield (
                f"OpenVINO int8, groups of {size}",
                in_openvino(quantised, pad_id, DYNAMIC_QUANTIZATION_GROUP_SIZE=size),
            )
        static = static_int8(plain, folder / "s4.onnx", calibration)
        yield "OpenVINO, static int8", in_openvino(static, pad_id)


def interleaved(runs: Mapping[str, Run], item: Tokens) -> dict[str, npt.NDArray[np.float64]]:
    """Times the engines in turns; returns each engine's seconds per round, shape (rounds,)."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            started = time.perf_counter()
            run(item)
            seconds[name].append(time.perf_counter() - started)
    return {name: np.array(values) for name, values in seconds.items()}


def main() -> None:
    """Builds every engine, measures it and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--without", type=Path, help="leave out rows of this test file's groups")
    parser.add_argument("--peak-gops", type=float, default=640.0, help="of one core, in int8")
    args = parser.parse_args()
    # The quantisers warn about missing preprocessing, but the graphs are preprocessed.
    logging.getLogger().setLevel(logging.ERROR)
    evaluator = Evaluator.load(args.run)
    manifest = evaluator.manifest
    encoder = find_base(manifest.base.name).load()
    has_evidence = manifest.encoding.evidence is not None
    model = EvaluatorModel(
        encoder,
        marks=manifest.encoding.marks,
        lexical=LexicalHead(encoder.config.hidden_size) if has_evidence else None,
    ).eval()
    load_model(model, args.run / "training" / "weights.safetensors")

    settings, rows = manifest.training.settings, read_rows(args.data).rows
    if args.without:
        rows = without_groups_of(rows, read_rows(args.without).rows)
    train, validation = split_rows(
        rows,
        float(settings["validation_size"]),
        seed=int(settings["seed"]),  # type: ignore[arg-type]
    )
    pad_id = manifest.encoding.pad_id
    # Of an interaction with several windows, only the first.
    encoded = [evaluator.encode(row.interaction).runs[0] for row in validation]
    labels = np.array([row.label >= 0.5 for row in validation])
    calibration = [
        collate(evaluator.encode(row.interaction).runs[:1], pad_id)
        for row in train[:_CALIBRATION_ROWS]
    ]
    cut = -evaluator.graph.calibration.intercept / evaluator.graph.calibration.slope

    with tempfile.TemporaryDirectory() as name:
        runs = dict(engines(model, Path(name), pad_id, calibration))
        seconds = interleaved(runs, evaluator.filler(_LENGTH))
        shapes = linear_layers(Path(name) / "single.onnx").values()
    operations = 2 * _LENGTH * sum(rows * columns for rows, columns in shapes)
    reference, base = None, seconds["onnxruntime fp32"]
    for name, run in runs.items():
        logits = np.array([run(item) for item in encoded])
        reference = logits if reference is None else reference
        engine_seconds = float(np.median(seconds[name]))
        print(
            json.dumps(
                {
                    "engine": name,
                    "ms": round(engine_seconds * 1e3, 2),
                    "of_fp32": round(float(np.median(seconds[name] / base)), 3),
                    "peak": round(operations / engine_seconds / 1e9 / args.peak_gops, 3),
                    "changed": round(float(((logits >= cut) != (reference >= cut)).mean()), 4),
                    "auroc": round(float(roc_auc_score(labels, logits)), 4),
                    "largest_difference": round(float(np.abs(logits - reference).max()), 3),
                    "rows": len(labels),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
