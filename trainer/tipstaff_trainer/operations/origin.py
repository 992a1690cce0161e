"""What a training takes from the evaluator that it starts from, beside weights and encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tipstaff_server.evaluator.manifest import SEEN_FILE
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.origin import Origin
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.evaluation.notices import knows_training_rows, trained_on
from tipstaff_trainer.progress import Reporter


def base_of(settings: TrainSettings, origin: Origin) -> str:
    """The base encoder of a training: the evaluator's own, unless the settings name another."""
    default = TrainSettings.model_fields["base"].default
    return origin.manifest.base.name if settings.base == default else settings.base


def hashes_of(origin: Origin) -> bytes | None:
    """The hashes of what an evaluator and its ancestors were trained on, if it has them."""
    return origin.bundle.read(SEEN_FILE) if knows_training_rows(origin.bundle) else None


def warn_of_seen(origin: Origin, parts: Mapping[str, Sequence[Row]], reporter: Reporter) -> None:
    """Warns where an evaluator was trained on rows that are to measure the new one.

    Args:
        origin: The evaluator.
        parts: Rows that measure, by the name of their part.
        reporter: Takes the warnings.
    """
    for name, rows in parts.items():
        matches = trained_on(rows, origin.bundle) if rows else None
        if rows and matches is None:
            reporter.warn(
                f"{origin.manifest.name} doesn't know its training rows: if {name} rows are among "
                "them, their figures are too good"
            )
        elif matches is not None and (seen := int(matches.any(axis=1).sum())):
            reporter.warn(
                f"{seen} of {len(rows)} {name} rows, or rows of their groups, were in the training "
                f"of {origin.manifest.name}: figures on them are too good",
                remedy="measure on rows that neither has seen, with {test_file}",
            )
