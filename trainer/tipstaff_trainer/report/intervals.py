"""Intervals that know that rows of one group are no independent evidence.

Shares get Wilson's interval on the effective number of rows; AUROCs a bootstrap that draws whole
groups. Both are wider where groups are few. All are of 95 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy.optimize import brentq
from scipy.stats import norm, t

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

CONFIDENCE: Final = 0.95
_UPPER = (1 + CONFIDENCE) / 2
_DRAWS = 1000
# Of two groups there are three draws, which is no distribution.
_FEWEST_GROUPS = 3
# Bounds what is held at once: a chunk of draws times rows.
_CELLS = 5_000_000


class Interval(BaseModel):
    """An estimate with its 95 % interval; `n` is the rows it rests on."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


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
    z = float(norm.ppf(_UPPER))
    centre = (value + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = (
        z
        / (1 + z**2 / effective)
        * np.sqrt(value * (1 - value) / effective + z**2 / (4 * effective**2))
    )
    # Rounding must not leave the estimate outside of its interval.
    low, high = min(value, centre - half), max(value, centre + half)
    return Interval(value=value, low=max(0.0, low), high=min(1.0, high), n=n)


def auroc(good: Bools, scores: Floats, groups: Ints) -> Interval | None:
    """The area under the ROC curve, with a bootstrap over groups; None for one class.

    Where no bad row scores as high as any good one, or all do, every draw says the same: then the
    interval is Newcombe's, for as many good and bad rows as there are groups that have them.

    Args:
        good: Shape (n,).
        scores: Any numbers, higher for better, shape (n,).
        groups: Shape (n,).
    """
    found = _aurocs(good, [scores], groups)
    if found is None:
        return None
    values, draws = found
    interval = _interval(values[0], draws[0], groups, whole=(0, 1))
    if values[0] not in (0, 1):
        return interval
    reach = _separated(len(np.unique(groups[good])), len(np.unique(groups[~good])))
    low, high = (reach, 1.0) if values[0] == 1 else (0.0, 1 - reach)
    return interval.model_copy(
        update={"low": min(low, interval.low), "high": max(high, interval.high)}
    )


def auroc_difference(good: Bools, first: Floats, second: Floats, groups: Ints) -> Interval | None:
    """The second's AUROC less the first's, on the same rows and the same draws of groups.

    Args:
        good: Shape (n,).
        first: Scores, shape (n,).
        second: Scores, shape (n,).
        groups: Shape (n,).
    """
    found = _aurocs(good, [first, second], groups)
    if found is None:
        return None
    values, draws = found
    return _interval(values[1] - values[0], draws[1] - draws[0], groups, whole=(-1, 1))


def mean_difference(first: Floats, second: Floats, groups: Ints) -> Interval:
    """The second's mean less the first's, with a bootstrap over groups; shapes (n,), n > 0.

    The values are shares or truths, in [0, 1].
    """
    difference = second - first
    draws = np.concatenate(
        [(weights @ difference) / weights.sum(axis=1) for weights in _draws(groups)]
    )
    return _interval(float(difference.mean()), draws, groups, whole=(-1, 1))


def _interval(value: float, draws: Floats, groups: Ints, *, whole: tuple[float, float]) -> Interval:
    """The draws' quantiles, further out the fewer groups there are; under three, all that can be.

    By so much that a mean's interval is as wide as Student's (Hesterberg 2015, "What teachers
    should know about the bootstrap", the expanded percentile interval).
    """
    # A draw without one of the classes has no AUROC.
    known = draws[np.isfinite(draws)]
    count = len(np.unique(groups))
    if count < _FEWEST_GROUPS or not len(known):
        return Interval(value=value, low=whole[0], high=whole[1], n=len(groups))
    tail = float(norm.cdf(-np.sqrt(count / (count - 1)) * t.ppf(_UPPER, count - 1)))
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(value=value, low=min(value, low), high=max(value, high), n=len(groups))


def _separated(good: int, bad: int) -> float:
    """The lower end of an AUROC of 1 over so many independent good and bad rows.

    Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic. Part 2", method 5: the area at which an observed 1 is just within reach.
    """
    z, mean = float(norm.ppf(_UPPER)), (good + bad) / 2

    def excess(area: float) -> float:
        alike = (1 - area) / (2 - area) + area / (1 + area)
        return z**2 * area * (1 + (mean - 1) * alike) / (good * bad) - (1 - area)

    return float(brentq(excess, 0, 1))


def _effective(hits: Bools, groups: Ints) -> float:
    """How many independent rows would tell as much, at most n.

    n by the design effect, which is how much more the share varies by groups than by independent
    rows (Kish 1965, "Survey Sampling", section 8.2), at least 1; and less where groups are so few
    that the design effect itself is uncertain (Korn & Graubard 1998, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data").
    """
    n, value, count = len(hits), np.mean(hits), len(np.unique(groups))
    plain = n * value * (1 - value)
    if plain == 0 or count == 1:
        # Nothing varies, or nothing does between groups, so nothing tells how alike the rows of a
        # group are: count groups.
        return count
    totals = np.bincount(groups, weights=hits - value)
    effective = n / max(1.0, (totals**2).sum() / plain)
    unsure = t.ppf(_UPPER, max(1.0, effective - 1)) / t.ppf(_UPPER, count - 1)
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
        drawn = random.multinomial(count, np.full(count, 1 / count), size=size)
        yield drawn[:, places].astype(float)


def _aurocs(
    good: Bools, several: list[Floats], groups: Ints
) -> tuple[list[float], list[Floats]] | None:
    if not 0 < good.sum() < len(good):
        return None
    once = np.ones((1, len(good)))
    values = [float(_weighted_auroc(good, scores, once)[0]) for scores in several]
    chunks = [
        [_weighted_auroc(good, scores, weights) for scores in several] for weights in _draws(groups)
    ]
    return values, [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


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
