"""Exports the model of a run and builds the graphs of its bundle."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import get_args

from tipstaff.errors import TipstaffError
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.encoders.base import DEFAULT_BASE, Base
from tipstaff_trainer.errors import ExportError, one_line
from tipstaff_trainer.export.golden import Candidates, candidates_of_rows, made_up_candidates
from tipstaff_trainer.export.graph import MeasuredGraph, RowSet
from tipstaff_trainer.export.graphs import GraphBuilder
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.progress import Reporter

_PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# Enough to measure a share of changed decisions to a quarter of a per cent, and ten rows for each
# dimension of the usual embeddings' covariance; more would cost a long run a tenth of its time.
_COMPARED_ROWS = 4000
# Fewer where rows are long: model and graphs run them all, for whole pages as long as half of the
# training or more.
_COMPARED_TOKENS, _FEWEST_COMPARED_ROWS = 600_000, 200


def check_exportable(base: Base, settings: ResolvedSettings, reporter: Reporter) -> None:
    """Exports the untrained model, to fail now rather than after hours of training.

    The default base encoder is known to export.
    """
    if base.info.name == DEFAULT_BASE:
        return
    with tempfile.TemporaryDirectory() as folder:
        model = EvaluatorModel(base.load(), marks=settings.marks).eval()
        export_fp32(model, Path(folder) / "model.onnx", reporter=reporter)


def build_graphs(
    model: EvaluatorModel,
    parts: Mapping[str, EncodedRows],
    encoder: Encoder,
    request: TrainRequest,
    out: Path,
    run: Path,
    reporter: Reporter,
) -> list[MeasuredGraph]:
    """Exports a trained model and measures each graph, the quickest on a CPU first.

    Args:
        model: The model, whose weights are in the run's folder.
        parts: Encoded rows: `train`, `validation` and perhaps `test`.
        encoder: Encodes made-up golden interactions.
        request: The precisions, and which interactions become golden.
        out: The bundle's folder.
        run: The run's folder.
        reporter: Takes notes and warnings.

    Raises:
        ExportError: A graph can't be made, or decides differently from the model.
    """
    with _keeping_weights(run):
        # A sample is enough to compare graphs and to fit the out-of-distribution detector.
        seen = parts["train"].one_pass()
        short = math.ceil(_COMPARED_TOKENS / mean(map(len, seen.encoded)))
        count = min(_COMPARED_ROWS, max(_FEWEST_COMPARED_ROWS, short))
        compared = {**parts, "train": seen.sample(count, seed=request.seed)}
        pad_id = encoder.encoding.pad_id
        row_sets = {
            name: RowSet(part.rows, part.encoded, torch_logits(model, part.encoded, pad_id=pad_id))
            for name, part in compared.items()
        }
        with tempfile.TemporaryDirectory(dir=run) as folder:
            file = Path(folder) / "model.onnx"
            export_fp32(model, file, reporter=reporter)
            builder = GraphBuilder(
                fp32_file=file,
                work=Path(folder),
                folder=out,
                pad_id=pad_id,
                row_sets=row_sets,
                golden=_golden(encoder, parts["validation"], request),
                reporter=reporter,
            )
            return builder.build([each for each in _PRECISIONS if each in request.precisions])


@contextmanager
def _keeping_weights(run: Path) -> Iterator[None]:
    """Says with any error that the training is not lost."""
    try:
        yield
    except Exception as error:  # those of the exporter and of onnxruntime have no common base
        why = error.message if isinstance(error, TipstaffError) else one_line(error)
        raise ExportError(
            f"the model is trained, but {why}",
            remedy=f"its weights are kept in {run / WEIGHTS_FILE}: the same request starts from "
            "there, also with other {precisions}",
        ) from error


def _golden(encoder: Encoder, validation: EncodedRows, request: TrainRequest) -> list[Candidates]:
    if request.golden_texts == "rows":
        return candidates_of_rows(validation.rows, validation.encoded, request.golden)
    return made_up_candidates(encoder, request.golden)
