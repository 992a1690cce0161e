"""A training run, from rows to a bundle.

    rows → split by group → distil → export → quantise → parity → calibrate → measure → bundle

Everything after `quantise` runs the graph through the server's session: what is measured is what
will be served.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import transformers

from tipstaff.errors import TipstaffError
from tipstaff.types import Field
from tipstaff_server.evaluator.bundle import Bundle, sha256_of
from tipstaff_server.evaluator.cases import CASES_FILE
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import (
    CARD_FILE,
    SEEN_FILE,
    TOKENIZER_FILE,
    Encoding,
    Manifest,
    Precision,
    Training,
)
from tipstaff_trainer.data import (
    Row,
    check_split,
    fingerprint,
    hash_training_rows,
    split_rows,
    without_groups_of,
)
from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.run_folder import open_run
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.distil.student import Start, layers_of, shrink, train_small
from tipstaff_trainer.distil.teacher import adopt_teacher
from tipstaff_trainer.distil.tracking import Tracker
from tipstaff_trainer.distil.training import train_model
from tipstaff_trainer.distil.weights import load_weights, save_weights
from tipstaff_trainer.distil.window_sizes import choose_windows
from tipstaff_trainer.encoders.base import DEFAULT_BASE, Base, find_base
from tipstaff_trainer.encoders.unread import measure_unread
from tipstaff_trainer.errors import ExportError, one_line
from tipstaff_trainer.evaluation.quality import measure_bundle
from tipstaff_trainer.export.bundle_writer import cases_json, write_bundle
from tipstaff_trainer.export.golden import Candidates, candidates_of_rows, made_up_candidates
from tipstaff_trainer.export.graph import MeasuredGraph, RowSet
from tipstaff_trainer.export.graphs import GraphBuilder
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.operations.readable import check_readable, warn_of_unreadable
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.report.card import model_card

# The fields' order in a run: what is judged comes first, next to what it is judged by.
_ORDER: tuple[Field, ...] = ("output", "ground_truth", "input")
_PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# Enough to measure a share of changed decisions to a quarter of a per cent, and ten rows for each
# dimension of the usual embeddings' covariance; more would cost a long run a tenth of its time.
_COMPARED_ROWS = 4000


def run_pipeline(
    request: TrainRequest,
    rows: TrainingRows,
    weighted: Sequence[Row],
    out: Path,
    reporter: Reporter,
) -> Bundle:
    """Trains an evaluator and writes its bundle; see `train`.

    Args:
        request: What to train, and how.
        rows: The rows.
        weighted: The rows to train on, each weighted by its label's source, without those of
            weight 0.
        out: The bundle's folder.
        reporter: Takes notes and warnings.
    """
    _quiet_libraries()
    base = find_base(request.base)
    unread = measure_unread(base.tokenizer, weighted, rows.fields)
    check_readable(unread, request, reporter)
    settings = request.resolve(rows=len(weighted), hidden_size=base.config.hidden_size)
    labelled = [*rows.train, *rows.unlabelled]
    run = open_run(out, labelled, settings, rows.fields, restart=request.restart)

    train, validation = split_rows(weighted, settings.validation_size, seed=settings.seed)
    for warning in check_split(train, validation, settings.validation_size):
        reporter.warn(warning)
    encoding = _encoding(base, train, rows.fields, settings, reporter)
    encoder = Encoder(base.tokenizer.to_str(), encoding)
    parts = {"train": train, "validation": validation, "test": rows.test}
    encoded = {name: EncodedRows.of(part, encoder) for name, part in parts.items() if part}
    unlabelled = without_groups_of(rows.unlabelled, [*validation, *rows.test])
    _warn_of_unread(encoded, reporter)
    if base.info.name != DEFAULT_BASE:
        _check_exportable(base, settings, reporter)
    if request.teacher is not None:
        adopt_teacher(
            request.teacher,
            run,
            base=base.info,
            encoding=encoding,
            fingerprint=fingerprint(rows.train),
            settings=settings,
        )

    more = EncodedRows.of(unlabelled, encoder)
    model = _distil(base, encoded, more, settings, run, request.tracker, reporter)
    try:
        graphs = _build_graphs(model, encoded, encoder, request, out, run, reporter)
    except Exception as error:  # those of the exporter and of onnxruntime have no common base
        why = error.message if isinstance(error, TipstaffError) else one_line(error)
        raise ExportError(
            f"the model is trained, but {why}",
            remedy=f"its weights are kept in {run / WEIGHTS_FILE}: the same request starts from "
            "there, also with other {precisions}",
        ) from error
    (out / TOKENIZER_FILE).write_text(base.tokenizer.to_str(), encoding="utf-8")
    (out / SEEN_FILE).write_bytes(hash_training_rows([*rows.train, *unlabelled]))
    files = [TOKENIZER_FILE, SEEN_FILE, *(file for each in graphs for file in each.graph.files)]
    manifest = Manifest(
        name=request.name,
        criterion=request.criterion,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tipstaff_version=version("tipstaff"),
        base=base.info,
        encoding=encoding,
        graphs=tuple(each.graph for each in graphs),
        training=Training(
            rows=len(train),
            validation_rows=len(validation),
            fingerprint=fingerprint(rows.train),
            label_sources=Counter(row.label_source for row in weighted),
            settings=settings.model_dump(),
            unread=unread,
        ),
        metrics=graphs[0].metrics,
        checksums={file: sha256_of(out / file) for file in files},
    )
    quality = measure_bundle(manifest, encoder, out, {"validation": validation, "test": rows.test})
    manifest = manifest.model_copy(update={"quality": quality})
    added = {CARD_FILE: model_card(manifest).encode()}
    if request.cases is not None:
        added[CASES_FILE] = cases_json(request.cases)
    if graphs[0].graph.calibration.method == "none":
        reporter.warn(
            "too few validation rows of both classes to calibrate on, so scores are not "
            "probabilities yet",
            remedy="label more rows",
        )
    write_bundle(out, manifest, added)
    return Bundle.open(out)


def _distil(
    base: Base,
    encoded: Mapping[str, EncodedRows],
    unlabelled: EncodedRows,
    settings: ResolvedSettings,
    run: Path,
    tracker: Tracker,
    reporter: Reporter,
) -> EvaluatorModel:
    def start() -> EvaluatorModel:
        encoder = base.load(dropout=settings.dropout)
        return EvaluatorModel(encoder, marks=settings.marks, dropout=settings.dropout)

    def train(start: Start, training: EncodedRows, folder: Path) -> EvaluatorModel:
        return train_model(
            start,
            training,
            encoded["validation"],
            settings,
            folder,
            pad_id=base.special.pad,
            tracker=tracker,
            reporter=reporter,
        )

    if (run / WEIGHTS_FILE).exists():
        model = start().eval()
        if settings.size != "full":
            model = shrink(model, layers_of(model, settings.size))
        load_weights(model, run)
        reporter.note(f"the model is trained already: its weights are in {run / WEIGHTS_FILE}")
        return model
    if settings.size == "full":
        model = train(start, encoded["train"], run)
    else:
        model = train_small(
            train,
            start,
            encoded["train"],
            unlabelled,
            size=settings.size,
            run=run,
            pad_id=base.special.pad,
        )
    save_weights(model, run)
    return model


def _build_graphs(
    model: EvaluatorModel,
    encoded: Mapping[str, EncodedRows],
    encoder: Encoder,
    request: TrainRequest,
    out: Path,
    run: Path,
    reporter: Reporter,
) -> list[MeasuredGraph]:
    """Exports the model and measures each graph, the quickest on a CPU first."""
    # A sample is enough to compare graphs and to fit the out-of-distribution detector.
    compared = {**encoded, "train": encoded["train"].sample(_COMPARED_ROWS, seed=request.seed)}
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
            golden=_golden(encoder, encoded["validation"], request),
            reporter=reporter,
        )
        return builder.build([each for each in _PRECISIONS if each in request.precisions])


def _golden(encoder: Encoder, validation: EncodedRows, request: TrainRequest) -> list[Candidates]:
    if request.golden_texts == "rows":
        return candidates_of_rows(validation.rows, validation.encoded, request.golden)
    return made_up_candidates(encoder, request.golden)


def _encoding(
    base: Base,
    rows: Sequence[Row],
    fields: Sequence[Field],
    settings: ResolvedSettings,
    reporter: Reporter,
) -> Encoding:
    max_length = min(settings.max_length, base.max_length)
    if max_length < settings.max_length:
        reporter.warn(f"{base.info.name} reads at most {max_length} tokens: used as the maximum")
    encoding = Encoding(
        order=tuple(name for name in _ORDER if name in fields),
        marks=settings.marks,
        max_length=max_length,
        cls_id=base.special.cls,
        sep_id=base.special.sep,
        pad_id=base.special.pad,
    )
    windows = choose_windows(rows, Encoder(base.tokenizer.to_str(), encoding), settings)
    return encoding.model_copy(update={"windows": windows})


def _check_exportable(base: Base, settings: ResolvedSettings, reporter: Reporter) -> None:
    """Exports the untrained model, to fail now rather than after hours of training."""
    with tempfile.TemporaryDirectory() as folder:
        model = EvaluatorModel(base.load(), marks=settings.marks).eval()
        export_fp32(model, Path(folder) / "model.onnx", reporter=reporter)


def _warn_of_unread(encoded: Mapping[str, EncodedRows], reporter: Reporter) -> None:
    items = [item for part in encoded.values() for item in part.encoded]
    if partial := sum(item.partial for item in items):
        reporter.warn(
            f"{partial} of {len(items)} rows are too long to be read whole",
            remedy="see {max_length} and {max_runs}",
        )
    warn_of_unreadable(items, reporter)


def _quiet_libraries() -> None:
    """Keeps out of the log what users can't act on."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    for noisy in ("optimum", "accelerate", "huggingface_hub", "torch.onnx", "onnxruntime"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
