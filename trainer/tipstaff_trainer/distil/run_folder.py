"""The folder that a run works in and that becomes the bundle."""

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
from tipstaff_trainer.errors import TrainingError

_RUN_FOLDER = "training"
_RUN_FILE = "run.sha256"


def run_folder(out: Path) -> Path:
    """What the run that made a bundle left beside it."""
    return out / _RUN_FOLDER


def metrics_file(out: Path) -> Path:
    """Where the run that made a bundle left its learning curve, as JSON lines."""
    return run_folder(out) / METRICS_FILE


def check_out(out: Path) -> None:
    """Checks that a run may write into a folder: it is new, empty or an unfinished run's.

    Raises:
        TrainingError: It may not.
    """
    if (out / MANIFEST_FILE).exists():
        raise TrainingError(f"{out} holds a bundle already: choose another folder")
    if out.exists() and not out.is_dir():
        raise TrainingError(f"--out {out}: can't be written: it is a file")
    if out.is_dir() and not (out / _RUN_FOLDER / _RUN_FILE).is_file() and any(out.iterdir()):
        raise TrainingError(
            f"{out} holds files that are no training run's: choose a new or empty folder"
        )


def open_run(
    out: Path,
    rows: Sequence[Row],
    settings: TrainSettings,
    fields: Sequence[Field],
    *,
    restart: bool,
) -> Path:
    """The run's folder; empty, or with an interrupted run of the same rows and settings.

    A run that came to no checkpoint is nothing to go on with, so any other may take its place.

    Raises:
        TrainingError: There is an interrupted run of others, or the folder can't be written.
    """
    run = run_folder(out)
    identity = hashlib.sha256(
        json.dumps([fingerprint(rows), settings.model_dump(), list(fields)]).encode()
    ).hexdigest()
    file = run / _RUN_FILE
    if restart or not is_begun(run):
        shutil.rmtree(run, ignore_errors=True)
    if file.is_file() and file.read_text(encoding="utf-8").strip() not in ("", identity):
        raise TrainingError(
            f"{run} holds an interrupted run with other rows or settings: repeat its command to go "
            "on with it, or add --restart to throw it away"
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
        file.write_text(identity + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"--out {out}: can't be written: {error.strerror}") from error
    return run
