"""Uses an evaluator that was trained before as the teacher of a smaller one."""

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
    """Copies a trained evaluator's weights to the file that `student.train_small` would train.

    A teacher of other rows or another split is refused: it may have learnt the rows that stop and
    calibrate the small evaluator.

    Args:
        teacher: The folder of a full evaluator's bundle, its `training` folder included.
        run: The small evaluator's run.
        base: The small evaluator's base encoder.
        encoding: The small evaluator's encoding.
        fingerprint: The fingerprint of the small evaluator's labelled rows.
        settings: The small evaluator's settings.

    Raises:
        TrainingError: The folder has no trained weights, or other weights than would be trained.
    """
    weights = run_folder(teacher) / WEIGHTS_FILE
    try:
        manifest = read_manifest(teacher)
    except BundleError as error:
        raise _refused(teacher, str(error)) from error
    if not weights.is_file():
        remedy = "give the folder that the training wrote: a published version has no weights"
        raise _refused(teacher, f"{weights} is missing", remedy)
    trained = manifest.training.settings
    pairs = {
        "rows": (manifest.training.fingerprint, fingerprint),
        "base encoder": (manifest.base, base),
        "marks, lengths, windows or framing": (manifest.encoding, encoding),
        "seed": (trained.get("seed"), settings.seed),
        "validation_size": (trained.get("validation_size"), settings.validation_size),
    }
    if different := [name for name, (its_value, value) in pairs.items() if its_value != value]:
        remedy = "repeat its training with another {size} and {out}, or leave {teacher} out"
        raise _refused(teacher, f"it was trained with other {', '.join(different)}", remedy)
    if trained.get("size", "full") != "full":
        raise _refused(teacher, "it is a small one itself", "give a full one")
    target = run / TEACHER_FOLDER / WEIGHTS_FILE
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(".partial")
    shutil.copyfile(weights, partial)
    partial.replace(target)


def _refused(teacher: Path, message: str, remedy: str = "") -> TrainingError:
    return TrainingError(message, field="teacher", value=str(teacher), remedy=remedy)
