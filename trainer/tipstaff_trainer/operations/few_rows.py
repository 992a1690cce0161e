"""What to recommend where rows are few."""

from __future__ import annotations

from collections.abc import Sequence

from tipstaff.types import Field
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.progress import Reporter

# With fewer rows, a start from an evaluator of other rows is worth a try. The script
# `benchmarks/few_rows.py` measures what it is worth.
FEW_ROWS = 500


def suits_start(settings: TrainSettings, rows: int, fields: Sequence[Field]) -> bool:
    """Whether to recommend that a training start from a general evaluator.

    It is not where none could be started from: with another base encoder, and where outputs are not
    compared with ground truths.

    Args:
        settings: Those of a training that starts from no evaluator.
        rows: The number of rows to train on.
        fields: The fields that the evaluator reads.
    """
    default = TrainSettings.model_fields["base"].default
    compares = {"output", "ground_truth"} <= {*fields}
    return rows < FEW_ROWS and settings.base == default and compares


def recommend_start(
    settings: TrainSettings, rows: int, fields: Sequence[Field], reporter: Reporter
) -> None:
    """Says that few rows may teach more from a general evaluator on; see `suits_start`."""
    if suits_start(settings, rows, fields):
        reporter.note(
            f"from {rows} rows an evaluator may learn more if it starts from a general one, which "
            "has compared outputs with ground truths in many other rows",
            remedy="name its bundle as {start_from}; examples/foundation trains one",
        )
