"""Does the evaluator beat metrics that cost nothing? Measured on the same rows, in their favour.

A metric that is no probability is made one: Platt scaling of a value's rank, fitted on four fifths
of the groups for the fifth that is left, five times. So each metric is calibrated on these very
rows, while the evaluator is taken as it is served. Ranks, since a metric like BLEU is near 0 for
most rows, and no slope on its value suits both those and the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation import intervals
from tipstaff_trainer.evaluation.calibration import fit_platt
from tipstaff_trainer.evaluation.intervals import Interval
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.reference_metrics import BY_NAME, Metric
from tipstaff_trainer.evaluation.scored import Floats, Ints, ScoredRows

_FOLDS = 5


class Yardstick(BaseModel):
    """The evaluator, or a metric beside it, on the rows that all have.

    Attributes:
        name: Of the metric; `evaluator` for the evaluator itself.
        n: Rows.
        auroc: Of its value.
        accuracy: The share decided right where its probability is cut at 0.5.
        precision: Likewise at 0.5, as are the next two; None where not defined.
        recall: Likewise.
        f1: Likewise.
        cross_entropy: Mean log loss of its probability, in nats.
        lead: The evaluator's AUROC less this one's, on the same draws; None for itself.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    n: int
    auroc: Interval | None
    accuracy: Interval
    precision: float | None
    recall: float | None
    f1: float | None
    cross_entropy: float | None
    lead: Interval | None


def metric_values(rows: Sequence[Row], metrics: Mapping[str, Metric]) -> dict[str, Floats]:
    """What each metric says of each row, shape (n,); not finite where it says nothing.

    Raises:
        DataError: A metric of the user's own failed on a row.
    """
    return {
        name: np.array([metric(row) for row in rows], dtype=float)
        for name, metric in metrics.items()
    }


def gaps(values: Mapping[str, Floats]) -> list[str]:
    """What to know of rows that metrics say nothing of.

    That rows without a reference can't be compared with one is no news where all are so.
    """
    notes, some = [], []
    for name, found in values.items():
        known = int(np.isfinite(found).sum())
        if not known and name not in BY_NAME:
            notes.append(f"{name} gives no number for any row, so it is not in the report")
        elif 0 < known < len(found):
            some.append(f"{name} has one for {known}")
    if some:
        rows = len(next(iter(values.values())))
        notes.append(
            "cheap metrics are held against it on the rows that all of them have a number for: of "
            f"{rows} rows {', '.join(some)}"
        )
    return notes


def yardsticks(scored: ScoredRows, values: Mapping[str, Floats]) -> tuple[Yardstick, ...]:
    """The evaluator, then each metric; nothing where no row has what the metrics need.

    Args:
        scored: Rows.
        values: What each metric says of them (`metric_values`).
    """
    # A metric that no row has a value for would leave no row to the others.
    values = {name: found for name, found in values.items() if np.isfinite(found).any()}
    if not values:
        return ()
    shared = np.all([np.isfinite(found) for found in values.values()], axis=0)
    rows = scored.where(shared)
    if not len(rows) or len(np.unique(rows.groups)) < 2:
        return ()
    return (
        _measure("evaluator", rows, rows.scores, rows.scores),
        *(
            _measure(
                name,
                rows,
                found[shared],
                probabilities(found[shared], rows.labels, rows.groups),
            )
            for name, found in values.items()
        ),
    )


def probabilities(values: Floats, labels: Floats, groups: Ints) -> Floats:
    """What a metric's value says of each row, by the rows of other groups; shape (n,).

    Labels are taken as they are, in [0, 1]: the cross entropy goes by them likewise.
    """
    if np.ptp(values) == 0:
        # All it can say is how many are good; by other groups that would be the less the more are
        # good in its own, and so worse than nothing.
        return np.full(len(values), labels.mean())
    found = np.empty(len(values))
    folds = GroupKFold(min(_FOLDS, len(np.unique(groups))))
    for rest, part in folds.split(values, groups=groups):
        known = np.sort(values[rest])
        fit = fit_platt(_ranks(values[rest], known), labels[rest])
        found[part] = expit(fit.slope * _ranks(values[part], known) + fit.intercept)
    return found


def _ranks(values: Floats, known: Floats) -> Floats:
    """Where values stand among known ones, from -1 to 1; equal ones in the middle of their like."""
    below = np.searchsorted(known, values, side="left")
    upto = np.searchsorted(known, values, side="right")
    ranks: Floats = (below + upto) / len(known) - 1
    return ranks


def _measure(name: str, rows: ScoredRows, values: Floats, probability: Floats) -> Yardstick:
    measures = classification_metrics(rows.labels, probability)
    accuracy = intervals.share((probability >= 0.5) == rows.good, rows.groups)
    assert accuracy is not None
    return Yardstick(
        name=name,
        n=len(rows),
        auroc=intervals.auroc(rows.good, values, rows.groups),
        accuracy=accuracy,
        precision=measures["precision"],
        recall=measures["recall"],
        f1=measures["f1"],
        cross_entropy=measures["log_loss"],
        lead=None
        if name == "evaluator"
        else intervals.auroc_difference(rows.good, values, rows.scores, rows.groups),
    )
