"""A full evaluator that was trained before, as the teacher of a smaller one."""

from __future__ import annotations

import shutil
from pathlib import Path

from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator.bundle import read_manifest
from tipstaff_server.evaluator.manifest import BaseEncoder, Encoding
from tipstaff_trainer.distil.checkpoints import TEACHER_FOLDER, WEIGHTS_FILE
from tipstaff_trainer.distil.run_folder import run_folder
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.errors import TrainingError


def adopt_teacher(
    teacher: Path,
    run: Path,
    *,
    base: BaseEncoder,
    encoding: Encoding,
    fingerprint: str,
    settings: ResolvedSettings,
) -> None:
    """Puts a trained evaluator's weights where `student.train_small` would train them.

    One of other rows or another split may have learnt the rows that the small one is stopped and
    calibrated by.

    Args:
        teacher: The folder that `tipstaff train --size full` wrote, its `training` folder included.
        run: The small evaluator's run.
        base: What the small one grows from.
        encoding: How it reads.
        fingerprint: Of its labelled rows.
        settings: How it is trained.

    Raises:
        TrainingError: The folder has no trained weights, or not those that would be trained here.
    """
    weights = run_folder(teacher) / WEIGHTS_FILE
    try:
        manifest = read_manifest(teacher)
    except BundleError as error:
        raise TrainingError(f"--teacher: {error}") from error
    if not weights.is_file():
        raise TrainingError(
            f"--teacher {teacher}: {weights} is missing: give the folder that `tipstaff train` "
            "wrote, a published version doesn't hold what a smaller one needs"
        )
    trained = manifest.training
    same = {
        "rows": trained.fingerprint == fingerprint,
        "base encoder": manifest.base == base,
        "marks, lengths or windows": manifest.encoding == encoding,
    } | {
        f"--{name.replace('_', '-')}": trained.settings.get(name) == getattr(settings, name)
        for name in ("seed", "validation_size")
    }
    if other := [name for name, equal in same.items() if not equal]:
        raise TrainingError(
            f"--teacher {teacher}: it was trained with other {', '.join(other)}: repeat its "
            "command with another --size and --out, or leave --teacher out"
        )
    if trained.settings.get("size", "full") != "full":
        raise TrainingError(f"--teacher {teacher}: it is a small one itself")
    kept = run / TEACHER_FOLDER / WEIGHTS_FILE
    kept.parent.mkdir(exist_ok=True)
    half_copied = kept.with_suffix(".partial")
    shutil.copyfile(weights, half_copied)
    half_copied.replace(kept)
