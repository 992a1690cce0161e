"""The folder that a run writes to and that becomes the bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tipstaff.types import Field
from tipstaff_server.evaluator.manifest import MANIFEST_FILE
from tipstaff_trainer.data import Row, fingerprint
from tipstaff_trainer.distil.checkpoints import METRICS_FILE, is_begun
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import OtherRunError, TrainingError

_RUN_FILE = "run.sha256"


def run_folder(out: Path) -> Path:
    """The folder of the run that made a bundle, inside the bundle's folder."""
    return out / "training"


def metrics_file(out: Path) -> Path:
    """The learning curve of the run that made a bundle, as JSON lines."""
    return run_folder(out) / METRICS_FILE


def check_out(out: Path) -> None:
    """Checks that a run may write into a folder: it is new, empty or an unfinished run's.

    Raises:
        TrainingError: The folder holds something else, or is a file.
    """
    if (out / MANIFEST_FILE).exists():
        raise _refused(out, "holds a bundle already", "choose another folder")
    if out.exists() and not out.is_dir():
        raise _refused(out, "can't be written: it is a file", "choose another name")
    if out.is_dir() and not (run_folder(out) / _RUN_FILE).is_file() and any(out.iterdir()):
        raise _refused(out, "holds files of no training run", "choose a new or empty folder")


def open_run(
    out: Path,
    rows: Sequence[Row],
    settings: TrainSettings,
    fields: Sequence[Field],
    *,
    restart: bool,
    origin: str = "",
) -> Path:
    """Prepares the run's folder: empty, or an interrupted run of the same rows and settings.

    A run without a checkpoint leaves nothing to resume, so any other may replace it.

    Args:
        out: The bundle's folder.
        rows: The run's labelled and unlabelled rows.
        settings: Its settings.
        fields: The fields that the evaluator reads.
        restart: Whether to discard an interrupted run.
        origin: What tells the evaluator that it starts from; empty without one.

    Raises:
        OtherRunError: It holds an interrupted run of other rows or settings.
        TrainingError: It can't be written.
    """
    run = run_folder(out)
    parts = [fingerprint(rows), settings.model_dump(), list(fields)]
    contents = json.dumps([*parts, origin] if origin else parts)
    identity = hashlib.sha256(contents.encode()).hexdigest()
    file = run / _RUN_FILE
    if restart or not is_begun(run):
        shutil.rmtree(run, ignore_errors=True)
    if file.is_file() and file.read_text(encoding="utf-8").strip() not in ("", identity):
        raise OtherRunError(
            "holds an interrupted run of other rows or settings",
            field="out",
            value=str(out),
            remedy="repeat its request to resume it, or add {restart} to discard it",
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
        file.write_text(identity + "\n", encoding="utf-8")
    except OSError as error:
        raise _refused(out, f"can't be written: {error.strerror}") from error
    return run


def _refused(out: Path, message: str, remedy: str = "") -> TrainingError:
    return TrainingError(message, field="out", value=str(out), remedy=remedy)
