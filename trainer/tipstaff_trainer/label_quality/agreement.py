"""Agreement between two sources of labels for the same rows: a judge, people or another judge."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_RESAMPLES = 2000
_TAIL = 0.025
_NAN = float("nan")
# Cells of a pair of verdicts: the judge's, and the other's.
_BOTH_GOOD, _BOTH_BAD, _JUDGE_ONLY, _OTHER_ONLY = range(4)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its 95 % interval; NaN where it is undefined.

    The ends are NaN if all rows are of one group, which shows no variation.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of a judge with people, or with another judge.

    Attributes:
        n: Rows labelled by both.
        kappa: Cohen's kappa: 1 is full agreement, 0 is chance.
        agreed: Share of rows with the same verdict.
        false_pass: Share of the other's bad rows that the judge calls good.
        false_block: Share of the other's good rows that the judge calls bad.
        both_good: Rows that both call good.
        both_bad: Rows that both call bad.
        judge_only: Rows that only the judge calls good.
        other_only: Rows that only the other calls good.
    """

    n: int
    kappa: Estimate
    agreed: Estimate
    false_pass: Estimate
    false_block: Estimate
    both_good: int
    both_bad: int
    judge_only: int
    other_only: int


def measure_agreement(
    judge: Sequence[float],
    other: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> Agreement:
    """Compares labels as verdicts: a label of 0.5 or more is good.

    Intervals are bootstrap percentiles over groups, since rows of one group (answers to one
    question) are right and wrong together (Field and Welsh 2007, "Bootstrapping clustered data").

    Args:
        judge: The judge's labels, shape (n,).
        other: The labels of a person or another judge, shape (n,).
        groups: Each row's group; None if every row is its own group.
        seed: Seeds the resampling.

    Raises:
        ValueError: There is no row.
    """
    if not len(judge):
        raise ValueError("no row is labelled by both")
    first, second = np.asarray(judge) >= 0.5, np.asarray(other) >= 0.5
    cells = np.stack([first & second, ~first & ~second, first & ~second, ~first & second], axis=1)
    names = range(len(cells)) if groups is None else [str(group) for group in groups]
    _, numbers = np.unique(np.array(names), return_inverse=True)
    by_group = np.zeros((numbers.max() + 1, 4))
    np.add.at(by_group, numbers, cells)
    # Groups with equal counts are interchangeable: drawing how often each kind of group comes is
    # drawing groups, and takes no longer for many rows. One group shows no variation.
    kinds, times = np.unique(by_group, axis=0, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(
        len(by_group), times / len(by_group), size=_RESAMPLES if len(by_group) > 1 else 0
    )
    resampled = draws @ kinds
    total = by_group.sum(axis=0)
    agreed = _share(by_group, resampled, [_BOTH_GOOD, _BOTH_BAD], [_JUDGE_ONLY, _OTHER_ONLY])
    kappa = _interval(_kappa(total), _kappa(resampled))
    if kappa.value == 1 and len(by_group) > 1:
        # As with shares, resampling never shows a disagreement that was not observed: take kappa of
        # the lowest agreement that the interval allows.
        kappa = Estimate(1.0, float(_kappa_of(agreed.low, _chance(total))), 1.0)
    both_good, both_bad, judge_only, other_only = map(int, total)
    return Agreement(
        n=len(cells),
        kappa=kappa,
        agreed=agreed,
        false_pass=_share(by_group, resampled, [_JUDGE_ONLY], [_BOTH_BAD]),
        false_block=_share(by_group, resampled, [_OTHER_ONLY], [_BOTH_GOOD]),
        both_good=both_good,
        both_bad=both_bad,
        judge_only=judge_only,
        other_only=other_only,
    )


def _kappa(cells: Floats) -> Floats:
    """Cohen's kappa (Cohen 1960); cells: shape (..., 4)."""
    agreed = cells[..., _BOTH_GOOD] + cells[..., _BOTH_BAD]
    return _kappa_of(agreed / cells.sum(axis=-1), _chance(cells))


def _chance(cells: Floats) -> Floats:
    """The agreement of two independent judges with these shares of good."""
    n = cells.sum(axis=-1)
    judge_good = (cells[..., _BOTH_GOOD] + cells[..., _JUDGE_ONLY]) / n
    other_good = (cells[..., _BOTH_GOOD] + cells[..., _OTHER_ONLY]) / n
    return np.asarray(judge_good * other_good + (1 - judge_good) * (1 - other_good))


def _kappa_of(observed: Floats | float, chance: Floats) -> Floats:
    # A division by zero makes the value undefined, which needs no warning.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((observed - chance) / (1 - chance))


def _share(by_group: Floats, resampled: Floats, part: list[int], rest: list[int]) -> Estimate:
    """The share of some cells among these and the rest, with its interval."""
    whole = part + rest
    with np.errstate(divide="ignore", invalid="ignore"):
        value = by_group[:, part].sum() / by_group[:, whole].sum()
        values = resampled[:, part].sum(axis=1) / resampled[:, whole].sum(axis=1)
    if value in (0, 1):
        # Resampling never shows what was not observed; the exact interval does (Clopper and Pearson
        # 1934), with each group counted once.
        groups = int((by_group[:, whole].sum(axis=1) > 0).sum())
        end = _TAIL ** (1 / groups)
        return Estimate(value, 0.0 if value == 0 else end, 1 - end if value == 0 else 1.0)
    return _interval(value, values)


def _interval(value: Floats | float, values: Floats) -> Estimate:
    """A value with the interval of its resampled values, as far as these are defined."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL]) if len(values) else (_NAN, _NAN)
    return Estimate(float(value), float(low), float(high))
