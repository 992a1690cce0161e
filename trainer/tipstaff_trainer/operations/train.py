"""A training run, from rows to a bundle.

    rows → split by group → distil → export → quantise → parity → calibrate → measure → bundle

Everything after `quantise` runs the graph through the server's session: what is measured is what
will be served.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import get_args

from safetensors.torch import save_model

from tipstaff.types import Field
from tipstaff_server.evaluator.bundle import Bundle, sha256_of, write_manifest
from tipstaff_server.evaluator.cases import CASES_FILE, Case
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
    check_trainable,
    fingerprint,
    seen_bytes,
    split_rows,
    without_groups_of,
)
from tipstaff_trainer.data.cases import write_cases
from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE, discard_checkpoints
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.run_folder import check_out, open_run
from tipstaff_trainer.distil.settings import ResolvedSettings, TrainSettings
from tipstaff_trainer.distil.student import train_small
from tipstaff_trainer.distil.teacher import adopt_teacher
from tipstaff_trainer.distil.tracking import Tracker, check_tracker
from tipstaff_trainer.distil.training import train_model
from tipstaff_trainer.distil.window_sizes import choose_windows
from tipstaff_trainer.encoders.base import DEFAULT_BASE, Base, find_base
from tipstaff_trainer.errors import TrainingError
from tipstaff_trainer.export.graph import RowSet, build_graph
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.report.card import model_card

# How the fields are laid out: what is judged stands first, next to what it is judged by.
_ORDER: tuple[Field, ...] = ("output", "ground_truth", "input")
_PRECISIONS: tuple[Precision, ...] = get_args(Precision)
# Enough for a share of changed decisions to a quarter of a per cent, and ten for each dimension of
# the usual embeddings' covariance; more would cost a long run a tenth of its time.
_COMPARED_ROWS = 4000

log = logging.getLogger(__name__)


def train_evaluator(
    rows: Sequence[Row],
    *,
    name: str,
    out: Path,
    fields: Sequence[Field],
    settings: TrainSettings | None = None,
    test_rows: Sequence[Row] = (),
    unlabelled: Sequence[Row] = (),
    teacher: Path | None = None,
    criterion: str = "",
    precisions: Sequence[Precision] = ("int8",),
    golden: int = 8,
    cases: Sequence[Case] | None = None,
    tracker: Tracker = "none",
    restart: bool = False,
) -> Bundle:
    """Trains an evaluator and writes its bundle into folder `out`.

    Called again with the same rows and settings after an interruption, it goes on from the last
    checkpoint in `out/training`.

    Args:
        rows: Labelled rows; part of them becomes the validation split.
        name: The evaluator's name.
        out: The bundle's folder: new, empty or an interrupted run's.
        fields: The fields that the evaluator reads.
        settings: How to train; None for the defaults.
        test_rows: Rows kept out of everything but the final measurement.
        unlabelled: More rows for a small evaluator to learn from, by what the full one says of
            them; those that share a group with validation or test rows are left out.
        teacher: A full evaluator of the same rows and settings, for a small one to learn from;
            None to train one first.
        criterion: What the evaluator judges, in words.
        precisions: One graph each; the manifest's metrics are int8's where it is among them.
        golden: Validation rows copied into the manifest, for servers to re-score at start.
        cases: Named cases that travel in the bundle; None to say nothing of cases.
        tracker: Where the run's numbers go besides `out/training/metrics.jsonl`.
        restart: Throw away an interrupted run in `out/training`.

    Raises:
        DataError: The rows, or those left after the validation split, can't be trained on.
        TrainingError: `out` is taken, the base encoder can't be trained, or the tracker can't
            start.
        ExportError: The trained model can't be exported, or not faithfully.
    """
    check_out(out)
    check_tracker(tracker)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError(
            "started several times over, as by torchrun: start it once, it uses all GPUs it sees"
        )
    wanted = settings or TrainSettings()
    everything = _weighed(rows, wanted)
    check_trainable(everything)
    # What weighs nothing would be measured and calibrated on as if it counted.
    weighed = [row for row in everything if row.weight > 0]
    base = find_base(wanted.base)
    settings = wanted.resolve(rows=len(weighed), hidden_size=base.config.hidden_size)
    run = open_run(out, [*rows, *unlabelled], settings, fields, restart=restart)

    size = settings.validation_size
    train_rows, validation_rows = split_rows(weighed, size, seed=settings.seed)
    for warning in check_split(train_rows, validation_rows, size):
        log.warning("%s", warning)
    encoding = _encoding(base, train_rows, fields, settings)
    encoder = Encoder(base.tokenizer.to_str(), encoding)
    parts = {"train": train_rows, "validation": validation_rows, "test": test_rows}
    more = without_groups_of(unlabelled, [*validation_rows, *test_rows])
    encoded = {part: EncodedRows.of(rows, encoder) for part, rows in parts.items() if rows}
    _warn_of_partial(encoded)
    if base.info.name != DEFAULT_BASE:
        _check_exportable(base, settings)
    if teacher is not None:
        adopt_teacher(
            teacher,
            run,
            base=base.info,
            encoding=encoding,
            fingerprint=fingerprint(rows),
            settings=settings,
        )
    model = _distil(base, encoded, EncodedRows.of(more, encoder), settings, run, tracker)
    save_model(model, str(run / WEIGHTS_FILE))

    # Of the rows it learnt from, as many as it takes to compare graphs and to know what is usual.
    compared = encoded | {"train": encoded["train"].drawn(_COMPARED_ROWS, seed=settings.seed)}
    row_sets = {
        part: RowSet(
            dataset.rows,
            dataset.encoded,
            torch_logits(model, dataset.encoded, pad_id=encoding.pad_id),
        )
        for part, dataset in compared.items()
    }
    with tempfile.TemporaryDirectory(dir=run) as folder:
        fp32_file = Path(folder) / "model.onnx"
        export_fp32(model, fp32_file)
        measured = [
            build_graph(
                precision,
                fp32_file=fp32_file,
                folder=out,
                pad_id=encoding.pad_id,
                row_sets=row_sets,
                golden=golden,
            )
            # Once each, the quickest on a CPU first.
            for precision in sorted(set(precisions), key=_PRECISIONS.index)
        ]
    (out / TOKENIZER_FILE).write_text(base.tokenizer.to_str(), encoding="utf-8")
    (out / SEEN_FILE).write_bytes(seen_bytes([*rows, *more]))
    files = [TOKENIZER_FILE, SEEN_FILE, *(file for part in measured for file in part.graph.files)]
    manifest = Manifest(
        name=name,
        criterion=criterion,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tipstaff_version=version("tipstaff"),
        base=base.info,
        encoding=encoding,
        graphs=tuple(part.graph for part in measured),
        training=Training(
            rows=len(train_rows),
            validation_rows=len(validation_rows),
            fingerprint=fingerprint(rows),
            label_sources=Counter(row.label_source for row in weighed),
            settings=settings.model_dump(),
        ),
        metrics=measured[0].metrics,
        checksums={file: sha256_of(out / file) for file in files},
    )
    (out / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
    checksums = manifest.checksums | {CARD_FILE: sha256_of(out / CARD_FILE)}
    if cases is not None:
        checksums[CASES_FILE] = write_cases(out, tuple(cases))
    write_manifest(out, manifest.model_copy(update={"checksums": checksums}))
    discard_checkpoints(run)
    return Bundle.open(out)


def _distil(
    base: Base,
    encoded: Mapping[str, EncodedRows],
    unlabelled: EncodedRows,
    settings: ResolvedSettings,
    run: Path,
    tracker: Tracker,
) -> EvaluatorModel:
    def start() -> EvaluatorModel:
        encoder = base.load(dropout=settings.dropout)
        return EvaluatorModel(encoder, marks=settings.marks, dropout=settings.dropout)

    def train(
        start: Callable[[], EvaluatorModel], training: EncodedRows, folder: Path
    ) -> EvaluatorModel:
        return train_model(
            start,
            training,
            encoded["validation"],
            settings,
            folder,
            pad_id=base.special.pad,
            tracker=tracker,
        )

    if settings.size == "full":
        return train(start, encoded["train"], run)
    return train_small(
        train,
        start,
        encoded["train"],
        unlabelled,
        size=settings.size,
        run=run,
        pad_id=base.special.pad,
    )


def _encoding(
    base: Base, rows: Sequence[Row], fields: Sequence[Field], settings: TrainSettings
) -> Encoding:
    max_length = min(settings.max_length, base.max_length)
    if max_length < settings.max_length:
        log.warning("%s reads %d tokens at most, so max_length is that", base.info.name, max_length)
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


def _weighed(rows: Sequence[Row], settings: TrainSettings) -> list[Row]:
    """The rows, each with its label's source in its weight."""
    factors = {
        "human": settings.human_weight,
        "judge": settings.judge_weight,
        "other": settings.other_weight,
    }
    return [replace(row, weight=row.weight * factors[row.label_source]) for row in rows]


def _check_exportable(base: Base, settings: TrainSettings) -> None:
    """Exports the untrained model, so that one that can't be is known before hours of training."""
    with tempfile.TemporaryDirectory() as folder:
        model = EvaluatorModel(base.load(), marks=settings.marks).eval()
        export_fp32(model, Path(folder) / "model.onnx")


def _warn_of_partial(encoded: Mapping[str, EncodedRows]) -> None:
    items = [item for dataset in encoded.values() for item in dataset.encoded]
    if partial := sum(item.partial for item in items):
        log.warning(
            "%d of %d rows are too long to be read whole: see --max-length and --max-runs",
            partial,
            len(items),
        )
