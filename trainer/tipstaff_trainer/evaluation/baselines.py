"""Compares the evaluator with cheap metrics, on the same rows and in the metrics' favour.

A metric's value is turned into a probability by Platt scaling of its rank, cross-fitted over five
folds of the groups. So each metric is calibrated on the very rows it is measured on, while the
evaluator is measured as it is served. Ranks are used because a metric like BLEU is near 0 for most
rows, and no slope on its value suits both those and the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from tipstaff_server.evaluator.quality import Interval
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation import intervals
from tipstaff_trainer.evaluation.base import Floats, Ints, Part
from tipstaff_trainer.evaluation.calibration import fit_platt
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.reference_metrics import BY_NAME, Metric
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.evaluation.word_overlap import OVERLAP, REVERSE

_FOLDS = 5


class Baseline(Part):
    """The evaluator, or a metric beside it, on the rows that all of them can measure.

    Attributes:
        name: The metric's; `evaluator` for the evaluator itself.
        n: Rows.
        auroc: AUROC of its value.
        accuracy: Share of right decisions, with its probability cut at 0.5.
        precision: At 0.5; None where not defined.
        recall: At 0.5; None where not defined.
        f1: At 0.5; None where not defined.
        cross_entropy: Mean log loss of its probability, in nats.
        lead: The evaluator's AUROC less this one's, on the same draws; None for itself.
    """

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
    """Each metric's values, shape (n,); not finite where it can't measure a row.

    Raises:
        DataError: A metric of the user's own failed on a row.
    """
    return {
        name: np.array([metric(row) for row in rows], dtype=float)
        for name, metric in metrics.items()
    }


def gaps(values: Mapping[str, Floats]) -> list[str]:
    """Warnings about rows that metrics can't measure; none where no row has a reference."""
    notes, partial = [], []
    for name, column in values.items():
        known = int(np.isfinite(column).sum())
        if not known and name not in (*BY_NAME, OVERLAP, REVERSE):
            notes.append(f"{name} gives no number for any row, so it is not in the report")
        elif 0 < known < len(column):
            partial.append(f"{name} has one for {known}")
    if partial:
        rows = len(next(iter(values.values())))
        notes.append(
            "cheap metrics are compared on the rows that all of them have a number for: of "
            f"{rows} rows {', '.join(partial)}"
        )
    return notes


def measure_baselines(scored: ScoredRows, values: Mapping[str, Floats]) -> tuple[Baseline, ...]:
    """The evaluator, then each metric; empty where no row has what the metrics need.

    Args:
        scored: Rows.
        values: Each metric's values for them (`metric_values`).
    """
    # A metric without any value would leave no row to the others.
    values = {name: column for name, column in values.items() if np.isfinite(column).any()}
    if not values:
        return ()
    shared = np.all([np.isfinite(column) for column in values.values()], axis=0)
    rows = scored.where(shared)
    if len(np.unique(rows.groups)) < 2:
        return ()
    baselines = [_measure("evaluator", rows, rows.scores, rows.scores)]
    for name, column in values.items():
        known = column[shared]
        probability = probabilities(known, rows.labels, rows.groups)
        baselines.append(_measure(name, rows, known, probability))
    return tuple(baselines)


def probabilities(values: Floats, labels: Floats, groups: Ints) -> Floats:
    """A metric's value for each row as a probability, fitted on other groups; shape (n,).

    Labels are soft, in [0, 1], as they are in the cross entropy.
    """
    if np.ptp(values) == 0:
        # A constant value can only give the share of good rows. Taken from the other groups, that
        # share would be lower the more of a row's own group are good: worse than nothing.
        return np.full(len(values), labels.mean())
    probability = np.empty(len(values))
    folds = GroupKFold(min(_FOLDS, len(np.unique(groups))))
    for rest, part in folds.split(values, groups=groups):
        known = np.sort(values[rest])
        fit = fit_platt(_ranks(values[rest], known), labels[rest])
        probability[part] = expit(fit.slope * _ranks(values[part], known) + fit.intercept)
    return probability


def _ranks(values: Floats, known: Floats) -> Floats:
    """The ranks of values among known ones, from -1 to 1; ties get the middle rank."""
    below = np.searchsorted(known, values, side="left")
    upto = np.searchsorted(known, values, side="right")
    ranks: Floats = (below + upto) / len(known) - 1
    return ranks


def _measure(name: str, rows: ScoredRows, values: Floats, probability: Floats) -> Baseline:
    measures = classification_metrics(rows.labels, probability)
    accuracy = intervals.share((probability >= 0.5) == rows.good, rows.groups)
    assert accuracy is not None
    lead = None
    if name != "evaluator":
        lead = intervals.auroc_difference(rows.good, values, rows.scores, rows.groups)
    return Baseline(
        name=name,
        n=len(rows),
        auroc=intervals.auroc(rows.good, values, rows.groups),
        accuracy=accuracy,
        **{key: measures[key] for key in ("precision", "recall", "f1")},
        cross_entropy=measures["log_loss"],
        lead=lead,
    )
