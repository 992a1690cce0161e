"""Whether an evaluator has learnt: compares it with simpler rules, on the same rows.

It is compared as served, on the validation rows and the test rows together: more rows tell more
than the training's use of the validation rows costs. All intervals know of groups, but for fewer
than ten with good and bad rows: from those no interval follows, and all rows right is not chance.

The rule, whose errors `benchmarks/learnt.py` counts:

- Chance: the AUROC's 95 % bound, one-sided, is above 0.5, and the AUROC is at least 0.63. Under
  0.6 no threshold gives useful verdicts, and an estimate has some luck in it.
- Base rate: the mean squared error is smaller.
- Word overlap and the version before: the AUROC is not lower by more than its difference's standard
  error. To ask that it be clearly higher would refuse nine in ten useful evaluators on few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tipstaff_server.evaluator.learnt import BaselineComparison, Learnt
from tipstaff_server.evaluator.quality import Interval
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation import intervals
from tipstaff_trainer.evaluation.base import Floats
from tipstaff_trainer.evaluation.notices import FEW_GROUPS
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.evaluation.word_overlap import word_overlaps

_LEAST_AREA = 0.63
# Standard errors from an estimate to the end of its interval, and to a one-sided 95 % bound.
_TWO_SIDED, _ONE_SIDED = 1.96, 1.645

ScoreRows = Callable[[Sequence[Row]], Floats | None]


def measure_learnt(
    parts: Mapping[str, ScoredRows],
    train: Sequence[Row],
    before: ScoreRows | None = None,
) -> Learnt:
    """Compares an evaluator with chance, the base rate, word overlap and the version before.

    Args:
        parts: Its scored rows, `validation` and, where there are any, `test`.
        train: The rows that it was trained on: they give the base rate and the words' weights.
        before: Scores of the version before; NaN for rows that it was trained on. None without an
            earlier version.
    """
    scored = _together([part for part in parts.values() if len(part)])
    comparisons = tuple(_compare(scored, train, before))
    return Learnt(
        rows=" and ".join(parts),
        n=len(scored),
        good=int(scored.good.sum()),
        comparisons=comparisons,
        verdict=bool(comparisons) and all(each.passed for each in comparisons),
    )


def _together(parts: Sequence[ScoredRows]) -> ScoredRows:
    scored = ScoredRows.of(
        [row for part in parts for row in part.rows],
        [prediction for part in parts for prediction in part.predictions],
        [tokens for part in parts for tokens in part.tokens],
    )
    classes = {(group, good) for group, good in zip(scored.groups, scored.good, strict=True)}
    groups = len(np.unique(scored.groups))
    # Groups of one class each tell nothing apart but groups.
    if groups < FEW_GROUPS and len(classes) > groups:
        # Copies are one observation all the same.
        texts = {row.interaction: place for place, row in enumerate(scored.rows)}
        return replace(scored, groups=np.array([texts[row.interaction] for row in scored.rows]))
    return scored


def _compare(
    scored: ScoredRows, train: Sequence[Row], before: ScoreRows | None
) -> Iterator[BaselineComparison]:
    area = intervals.auroc(scored.good, scored.scores, scored.groups)
    if area is None:
        return
    bound = area.value - (area.value - area.low) * _ONE_SIDED / _TWO_SIDED
    yield BaselineComparison(
        baseline="chance",
        measure="AUROC",
        evaluator=area.value,
        value=0.5,
        difference=_moved(area, -0.5),
        passed=bound > 0.5 and area.value >= _LEAST_AREA,
    )
    yield _base_rate(scored, float(np.mean([row.label for row in train])))
    overlaps = word_overlaps([*train, *scored.rows], _reference_of(scored.rows))
    for name, metric in overlaps.items():
        yield from _beside(scored, name, np.array([metric(row) for row in scored.rows]))
    if before is not None and (scores := before(scored.rows)) is not None:
        yield from _beside(scored, "version before", scores)


def _base_rate(scored: ScoredRows, rate: float) -> BaselineComparison:
    """Compares squared errors: unlike a log loss, one sure and wrong score can't decide alone."""
    constant, ours = (rate - scored.labels) ** 2, (scored.scores - scored.labels) ** 2
    difference = intervals.mean_difference(ours, constant, scored.groups)
    return BaselineComparison(
        baseline="base rate",
        measure="Brier score",
        evaluator=float(ours.mean()),
        value=float(constant.mean()),
        difference=difference,
        passed=difference.value > 0,
    )


def _beside(scored: ScoredRows, name: str, scores: Floats) -> Iterator[BaselineComparison]:
    """Compares AUROCs on the rows that have both scores; nothing where they are of one class."""
    known = np.isfinite(scores)
    rows, theirs = scored.where(known), scores[known]
    value = intervals.auroc(rows.good, theirs, rows.groups)
    difference = intervals.auroc_difference(rows.good, theirs, rows.scores, rows.groups)
    if value is None or difference is None:
        return
    standard_error = (difference.high - difference.low) / (2 * _TWO_SIDED)
    yield BaselineComparison(
        baseline=name,
        measure="AUROC",
        evaluator=value.value + difference.value,
        value=value.value,
        difference=difference,
        passed=difference.value >= -standard_error,
    )


def _reference_of(rows: Sequence[Row]) -> Callable[[Row], Sequence[str]]:
    """The text that words are compared with: the ground truth, or the input where none has one."""
    grounded = any(row.interaction.ground_truth for row in rows)

    def references(row: Row) -> Sequence[str]:
        text = row.interaction.ground_truth if grounded else row.interaction.input
        return (text,) if text else ()

    return references


def _moved(interval: Interval, by: float) -> Interval:
    return interval.model_copy(
        update={end: getattr(interval, end) + by for end in ("value", "low", "high")}
    )
