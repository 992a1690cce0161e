"""95 % intervals for rows in groups, which are not independent within a group.

Shares get Wilson's interval on the effective number of rows, AUROCs Newcombe's on the effective
numbers of good and bad rows, and differences a bootstrap that draws whole groups. All are wider
where groups are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, rankdata, t

from tipstaff_server.evaluator.quality import Interval
from tipstaff_trainer.evaluation.base import Bools, Floats, Ints

# The upper end of a 95 % interval, as a quantile.
_UPPER = 0.975
_Z = float(norm.ppf(_UPPER))
_DRAWS = 1000
# Two groups have only three different draws, which make no distribution.
_FEWEST_GROUPS = 3
# Less than any non-zero area, unless there are more pairs of rows than its inverse.
_TINY = 1e-12
# Bounds the memory of a chunk: draws times rows.
_CELLS = 5_000_000


def share(hits: Bools, groups: Ints) -> Interval | None:
    """The share of rows that hit; None without rows.

    Wilson's interval, which holds its level for shares near 0 and 1 too, on the effective number of
    rows.

    Args:
        hits: Shape (n,).
        groups: Shape (n,); rows of one number belong together.
    """
    n = len(hits)
    if not n:
        return None
    value = float(np.mean(hits))
    effective = _effective(hits, groups)
    shrinkage = 1 + _Z**2 / effective
    centre = (value + _Z**2 / (2 * effective)) / shrinkage
    variance = value * (1 - value) / effective + _Z**2 / (4 * effective**2)
    half = _Z / shrinkage * np.sqrt(variance)
    # Rounding must not leave the estimate outside its interval.
    low, high = min(value, centre - half), max(value, centre + half)
    return Interval(value=value, low=max(0.0, low), high=min(1.0, high), n=n)


def auroc(good: Bools, scores: Floats, groups: Ints) -> Interval | None:
    """The area under the ROC curve with Newcombe's interval; None for one class.

    The interval holds its level for few rows of a class and for areas near 1, where a bootstrap is
    too narrow. It uses the effective numbers of independent good and bad rows.

    Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic. Part 2", method 5.

    Args:
        good: Shape (n,).
        scores: Any numbers, higher for better, shape (n,).
        groups: Shape (n,).
    """
    if not 0 < good.sum() < len(good):
        return None
    value = float(_weighted_auroc(good, scores, np.ones((1, len(good))))[0])
    if len(np.unique(groups)) < _FEWEST_GROUPS:
        return Interval(value=value, low=0.0, high=1.0, n=len(good))
    goods, bads = _effective_pair(good, scores, groups, value)
    return Interval(
        value=value,
        low=1 - _highest(1 - value, goods, bads),
        high=_highest(value, goods, bads),
        n=len(good),
    )


def auroc_difference(good: Bools, first: Floats, second: Floats, groups: Ints) -> Interval | None:
    """The second's AUROC minus the first's, on the same rows and the same draws of groups.

    Args:
        good: Shape (n,).
        first: Scores, shape (n,).
        second: Scores, shape (n,).
        groups: Shape (n,).
    """
    if not 0 < good.sum() < len(good):
        return None

    def difference(weights: Floats) -> Floats:
        return _weighted_auroc(good, second, weights) - _weighted_auroc(good, first, weights)

    return _bootstrap(difference, groups)


def mean_difference(first: Floats, second: Floats, groups: Ints) -> Interval:
    """The second's mean minus the first's, with a bootstrap over groups; shapes (n,), n > 0.

    The values are shares or truths, in [0, 1].
    """

    def difference(weights: Floats) -> Floats:
        means: Floats = (weights @ (second - first)) / weights.sum(axis=1)
        return means

    return _bootstrap(difference, groups)


def _bootstrap(difference: Callable[[Floats], Floats], groups: Ints) -> Interval:
    """The interval of a difference in [-1, 1] by a bootstrap over groups; all under three groups.

    The quantiles are moved outwards, the more the fewer groups there are, so that a mean's interval
    is as wide as Student's (Hesterberg 2015, "What teachers should know about the bootstrap", the
    expanded percentile interval).

    Args:
        difference: Computes the difference for each line of rows' weights, shape (draws, n).
        groups: Shape (n,).
    """
    value = float(difference(np.ones((1, len(groups))))[0])
    draws = np.concatenate([difference(weights) for weights in _draws(groups)])
    # A draw without one of the classes has no AUROC.
    known = draws[np.isfinite(draws)]
    count = len(np.unique(groups))
    if count < _FEWEST_GROUPS or not len(known):
        return Interval(value=value, low=-1.0, high=1.0, n=len(groups))
    tail = float(norm.cdf(-np.sqrt(count / (count - 1)) * t.ppf(_UPPER, count - 1)))
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(value=value, low=min(value, low), high=max(value, high), n=len(groups))


def _highest(value: float, good: float, bad: float) -> float:
    """The largest area whose interval, by Newcombe's method 5, still reaches down to `value`."""
    mean = (good + bad) / 2

    def excess(area: float) -> float:
        alike = (1 - area) / (2 - area) + area / (1 + area)
        variance = area * (1 - area) * (1 + (mean - 1) * alike) / (good * bad)
        return (area - value) ** 2 - _Z**2 * variance

    # The areas 0 and 1 have no variance, so their intervals reach nothing but themselves.
    bottom, top = max(value, _TINY), 1 - _TINY
    return 1.0 if bottom >= top or excess(top) <= 0 else float(brentq(excess, bottom, top))


def _effective_pair(good: Bools, scores: Floats, groups: Ints, area: float) -> tuple[float, float]:
    """The effective numbers of independent good and bad rows for an AUROC.

    One design effect serves both: the variance of the area by groups over that by rows (Obuchowski
    1997, "Nonparametric analysis of clustered ROC curve data"). Each class is also limited by the
    number of its groups, since what all its rows have in common shows in no variance. Where
    nothing varies, groups are counted.
    """
    goods, bads = int(good.sum()), int((~good).sum())
    groups_of = len(np.unique(groups[good])), len(np.unique(groups[~good]))
    # Each row's rank among the other class, as a deviation from the mean, in parts of the area.
    ranks, class_ranks = rankdata(scores), np.empty(len(scores))
    class_ranks[good], class_ranks[~good] = rankdata(scores[good]), rankdata(scores[~good])
    above = ranks - class_ranks
    parts = np.where(good, (above / bads - area) / goods, (1 - above / goods - area) / bads)
    by_rows = (parts**2).sum()
    if by_rows < _TINY**2:  # that is, 0 but for rounding
        return groups_of
    _, places = np.unique(groups, return_inverse=True)
    effect = max(1.0, (np.bincount(places, weights=parts) ** 2).sum() / by_rows)
    effective = [
        float(count) if count < _FEWEST_GROUPS else _independent(rows, effect, count)
        for rows, count in zip((goods, bads), groups_of, strict=True)
    ]
    return effective[0], effective[1]


def _effective(hits: Bools, groups: Ints) -> float:
    """The effective number of independent rows, at most n.

    Divides by the design effect, the variance of the share by groups over that of independent
    rows (Kish 1965, "Survey Sampling", section 8.2), at least 1.
    """
    n, value, count = len(hits), np.mean(hits), len(np.unique(groups))
    plain = n * value * (1 - value)
    if plain == 0 or count == 1:
        # No variance between groups shows how alike the rows of a group are: count groups.
        return count
    totals = np.bincount(groups, weights=hits - value)
    return _independent(n, max(1.0, (totals**2).sum() / plain), count)


def _independent(n: int, effect: float, groups: int) -> float:
    """Rows over their design effect, and fewer where few groups leave that effect uncertain.

    Korn & Graubard 1998, "Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data".
    """
    effective = n / effect
    unsure = t.ppf(_UPPER, max(1.0, effective - 1)) / t.ppf(_UPPER, groups - 1)
    return float(effective * min(1.0, unsure) ** 2)


def _draws(groups: Ints) -> Iterator[Floats]:
    """How often each row counts in each draw, in chunks of shape (draws, n)."""
    _, places = np.unique(groups, return_inverse=True)
    count = int(places.max()) + 1
    # The same draws for the same rows: a report can be made again.
    random = np.random.default_rng(0)
    chunk = max(1, _CELLS // len(groups))
    for start in range(0, _DRAWS, chunk):
        size = min(chunk, _DRAWS - start)
        counts = random.multinomial(count, np.full(count, 1 / count), size=size)
        yield counts[:, places].astype(float)


def _weighted_auroc(good: Bools, scores: Floats, weights: Floats) -> Floats:
    """P(a good row scores above a bad one), ties half, for each line of weights (draws, n)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    goods = np.add.reduceat((weights * good)[:, order], starts, axis=1)
    bads = np.add.reduceat((weights * ~good)[:, order], starts, axis=1)
    below = np.cumsum(bads, axis=1) - bads / 2
    pairs = goods.sum(axis=1) * bads.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        areas: Floats = (goods * below).sum(axis=1) / pairs
    return areas
