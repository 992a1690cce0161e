"""A training run, from rows to a bundle.

    rows → split by group → distil → export → quantise → parity → calibrate → measure → bundle

Everything after `quantise` runs the graph through the server's session: what is measured is what
will be served.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tipstaff.types import Field
from tipstaff_server.evaluator.bundle import Bundle, sha256_of, write_manifest
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import (
    CARD_FILE,
    MANIFEST_FILE,
    TOKENIZER_FILE,
    Encoding,
    Manifest,
    Training,
)
from tipstaff_trainer.data import Row, fingerprint, split_rows
from tipstaff_trainer.distil.encoders import Base, find_base
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.settings import Precision, TrainSettings
from tipstaff_trainer.distil.training import discard_checkpoints, train_model
from tipstaff_trainer.errors import TrainingError
from tipstaff_trainer.export.graph import RowSet, build_graph
from tipstaff_trainer.export.onnx_graph import export_fp32
from tipstaff_trainer.report.card import model_card

# How the fields are laid out: what is judged stands first, next to what it is judged by.
_ORDER: tuple[Field, ...] = ("output", "ground_truth", "input")
_RUN_FOLDER = "training"
_RUN_FILE = "run.json"

log = logging.getLogger(__name__)


def train_evaluator(
    rows: Sequence[Row],
    *,
    name: str,
    out: Path,
    fields: Sequence[Field],
    settings: TrainSettings | None = None,
    test_rows: Sequence[Row] = (),
    criterion: str = "",
    precisions: Sequence[Precision] = ("int8",),
    golden: int = 8,
    restart: bool = False,
) -> Bundle:
    """Trains an evaluator and writes its bundle into folder `out`.

    Called again with the same rows and settings after an interruption, it goes on from the last
    checkpoint in `out/training`.

    Args:
        rows: Labelled rows; part of them becomes the validation split.
        name: The evaluator's name.
        out: The bundle's folder; holds no bundle yet.
        fields: The fields that the evaluator reads.
        settings: How to train; None for the defaults.
        test_rows: Rows kept out of everything but the final measurement.
        criterion: What the evaluator judges, in words.
        precisions: One graph each; the first that a server's device can run serves there.
        golden: Validation rows copied into the manifest, for servers to re-score at start.
        restart: Throw away an interrupted run in `out/training`.

    Raises:
        TrainingError: `out` is taken, or the base encoder can't be trained.
        ExportError: The trained model can't be exported, or not faithfully.
    """
    if (out / MANIFEST_FILE).exists():
        raise TrainingError(f"{out} holds a bundle already: choose another folder")
    wanted = settings or TrainSettings()
    base = find_base(wanted.base)
    settings = wanted.resolve(rows=len(rows), hidden_size=base.config.hidden_size)
    run = _open_run(out, rows, settings, fields, restart=restart)

    train_rows, validation_rows = split_rows(rows, settings.validation_size, seed=settings.seed)
    encoding = _encoding(base, fields, settings)
    encoder = Encoder(base.tokenizer.to_str(), encoding)
    trained = train_model(base, encoder, train_rows, validation_rows, settings, run)

    parts = {"train": train_rows, "validation": validation_rows, "test": test_rows}
    row_sets = {
        part: _row_set(trained.model, encoder, part_rows)
        for part, part_rows in parts.items()
        if part_rows
    }
    _warn_of_partial(row_sets)
    with tempfile.TemporaryDirectory(dir=run) as folder:
        fp32_file = Path(folder) / "model.onnx"
        export_fp32(trained.model, fp32_file)
        measured = [
            build_graph(
                precision,
                fp32_file=fp32_file,
                folder=out,
                pad_id=encoding.pad_id,
                row_sets=row_sets,
                golden=golden,
            )
            for precision in precisions
        ]
    (out / TOKENIZER_FILE).write_text(base.tokenizer.to_str(), encoding="utf-8")
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
            label_sources=Counter(row.label_source for row in rows),
            settings=settings.model_dump(),
        ),
        metrics=measured[0].metrics,
        checksums={TOKENIZER_FILE: sha256_of(out / TOKENIZER_FILE)}
        | {part.graph.file: sha256_of(out / part.graph.file) for part in measured},
    )
    (out / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
    checksums = manifest.checksums | {CARD_FILE: sha256_of(out / CARD_FILE)}
    write_manifest(out, manifest.model_copy(update={"checksums": checksums}))
    discard_checkpoints(run)
    return Bundle.open(out)


def _open_run(
    out: Path,
    rows: Sequence[Row],
    settings: TrainSettings,
    fields: Sequence[Field],
    *,
    restart: bool,
) -> Path:
    """The run's folder; empty, or with an interrupted run of the same rows and settings."""
    run = out / _RUN_FOLDER
    identity = hashlib.sha256(
        json.dumps([fingerprint(rows), settings.model_dump(), list(fields)]).encode()
    ).hexdigest()
    file = run / _RUN_FILE
    if restart:
        shutil.rmtree(run, ignore_errors=True)
    if file.is_file() and json.loads(file.read_text(encoding="utf-8"))["identity"] != identity:
        raise TrainingError(
            f"{run} holds an interrupted run with other rows or settings: repeat its command to go "
            "on with it, or add --restart to throw it away"
        )
    run.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"identity": identity}) + "\n", encoding="utf-8")
    return run


def _encoding(base: Base, fields: Sequence[Field], settings: TrainSettings) -> Encoding:
    max_length = min(settings.max_length, base.max_length)
    if max_length < settings.max_length:
        log.info("%s has positions for %d tokens", base.info.name, max_length)
    return Encoding(
        order=tuple(name for name in _ORDER if name in fields),
        marks=settings.marks,
        max_length=max_length,
        cls_id=base.special.cls,
        sep_id=base.special.sep,
        pad_id=base.special.pad,
    )


def _row_set(model: EvaluatorModel, encoder: Encoder, rows: Sequence[Row]) -> RowSet:
    encoded = [encoder.encode(row.interaction) for row in rows]
    return RowSet(rows, encoded, torch_logits(model, encoded, pad_id=encoder.encoding.pad_id))


def _warn_of_partial(row_sets: dict[str, RowSet]) -> None:
    encoded = [item for part in row_sets.values() for item in part.encoded]
    partial = sum(item.partial for item in encoded)
    if partial:
        log.warning(
            "%d of %d rows are longer than max_length and were cut: the ground truth first",
            partial,
            len(encoded),
        )
