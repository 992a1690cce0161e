"""Finds when a share or a mean began to differ from what it was before, up or down.

A two-sided CUSUM (Page 1954) over hours. Each hour's value is compared with what the two weeks
before it predict, refitted every day: a mean and a daily rhythm. Its deviation is divided by the
spread of those weeks, which includes chance and the usual differences between hours, so that a
metric that always swings raises no alarm. A deviation counts at most `_CLIP`: one or two odd hours
are no spike, three are.

`LIMIT` is chosen by simulation (`simulate`), so that all charts of an evaluator together raise at
most one false alarm in a month.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

HOUR = 3600
_DAY = 24
# Hours before a value that it is compared with, and the fewest of them with answers.
_REFERENCE = 14 * _DAY
_FEWEST = 48
# From how many hours on a daily rhythm is fitted.
_RHYTHM_FROM = 5 * _DAY
# Deviations are summed less half a standard deviation each; the sum raises the alarm.
_SLACK = 0.5
LIMIT = 10.0
_CLIP = 5.0
# An alarm of the same chart and direction within this time belongs to the same spike.
_SAME = 5 * _DAY

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HourlySeries:
    """A metric by hour.

    Attributes:
        start: The first hour, in seconds since 1970.
        n: Answers in each hour, shape (hours,).
        total: Sum of the metric over them.
        squares: Sum of its squares.
    """

    start: int
    n: Floats
    total: Floats
    squares: Floats


@dataclass(frozen=True, slots=True)
class Spike:
    """A change.

    Attributes:
        start: When it began: where the sum last left 0, in seconds since 1970.
        found: When it was found.
        direction: Whether the metric rose or fell.
        before: The predicted mean from the start until it was found.
        value: The mean in the same hours.
    """

    start: int
    found: int
    direction: Literal["up", "down"]
    before: float
    value: float


def find_spikes(series: HourlySeries) -> list[Spike]:
    """The changes in a series, in order of time."""
    return find_all({"": series})[""]


def find_all(charts: Mapping[str, HourlySeries]) -> dict[str, list[Spike]]:
    """The changes in each of several series of the same hours, in order of time."""
    if not charts:
        return {}
    deviations, expected = _deviations(list(charts.values()))
    found: dict[str, list[Spike]] = {}
    for place, (name, series) in enumerate(charts.items()):
        up = _cusum(series, deviations[place], expected[place], "up")
        down = _cusum(series, -deviations[place], expected[place], "down")
        found[name] = sorted([*up, *down], key=lambda each: each.found)
    return found


def _cusum(
    series: HourlySeries,
    deviations: Floats,
    expected: Floats,
    direction: Literal["up", "down"],
) -> list[Spike]:
    spikes: list[Spike] = []
    total, begin, last = 0.0, 0, -_SAME
    for hour, deviation in enumerate(deviations.tolist()):
        if math.isnan(deviation):  # nothing to compare, or nothing to compare with
            continue
        if total == 0.0:
            begin = hour
        total = max(0.0, total + deviation - _SLACK)
        if total < LIMIT:
            continue
        if hour - last >= _SAME:
            part = slice(begin, hour + 1)
            known = ~np.isnan(deviations[part])
            weights = series.n[part][known]
            spikes.append(
                Spike(
                    start=series.start + begin * HOUR,
                    found=series.start + (hour + 1) * HOUR,
                    direction=direction,
                    before=float(np.average(expected[part][known], weights=weights)),
                    value=float(series.total[part][known].sum() / weights.sum()),
                )
            )
        last, total = hour, 0.0
    return spikes


def _deviations(charts: Sequence[HourlySeries]) -> tuple[Floats, Floats]:
    """Each hour's deviation in standard deviations, and what was expected; NaN where unknown.

    All days of all charts are fitted together, which is ten times as fast as one after the other:
    every reference begins at the same hour of a day, and so has the same design.

    Returns:
        Both of shape (charts, hours).
    """
    n = np.stack([each.n for each in charts])
    value = np.divide(
        np.stack([each.total for each in charts]), n, out=np.zeros(n.shape), where=n > 0
    )
    squares = np.stack([each.squares for each in charts])
    hours = n.shape[1]
    deviations, expected = np.full(n.shape, np.nan), np.full(n.shape, np.nan)
    begins = np.arange(_FEWEST, hours, _DAY)
    if not len(begins):
        return deviations, expected
    references = begins[:, None] + np.arange(_REFERENCE)
    before, after = ((0, 0), (_REFERENCE, 0)), ((0, 0), (0, _DAY))
    first = charts[0].start // HOUR + _FEWEST
    n_then, value_then, squares_then = (
        np.pad(each, before)[:, references] for each in (n, value, squares)
    )
    then = _design(first - _REFERENCE + np.arange(_REFERENCE))
    fit = _fit(n_then, value_then, squares_then, then)
    days = begins[:, None] + np.arange(_DAY)
    n_there, value_there = (np.pad(each, after)[:, days] for each in (n, value))
    design = _design(first + np.arange(_DAY))
    predicted = fit.coefficients @ design.T
    leverage = np.einsum("hi,cdij,hj->cdh", design, fit.inverse, design)
    known = (n_there > 0) & fit.usable[..., None]
    variance = fit.within[..., None] / np.maximum(n_there, 1) + fit.between[..., None] + leverage
    deviation = np.clip((value_there - predicted) / np.sqrt(variance), -_CLIP, _CLIP)
    last = begins[0] + len(begins) * _DAY
    flat = (len(charts), last - _FEWEST)
    known_deviations = np.where(known, deviation, np.nan).reshape(flat)
    predictions = np.where(fit.usable[..., None], predicted, np.nan).reshape(flat)
    deviations[:, _FEWEST:] = known_deviations[:, : hours - _FEWEST]
    expected[:, _FEWEST:] = predictions[:, : hours - _FEWEST]
    return deviations, expected


@dataclass(frozen=True, slots=True)
class _Fit:
    """Means and rhythms of references; arrays begin with (charts, days).

    Attributes:
        usable: Whether there were enough hours with answers.
        coefficients: Of the design's columns.
        inverse: The inverse of their information.
        within: The variance of single answers.
        between: The variance of hours beyond chance.
    """

    usable: npt.NDArray[np.bool_]
    coefficients: Floats
    inverse: Floats
    within: Floats
    between: Floats


def _fit(n: Floats, value: Floats, squares: Floats, design: Floats) -> _Fit:
    """Fits each reference; arrays of shape (charts, days, hours), the design (hours, columns)."""
    there = n > 0
    count = there.sum(axis=-1)
    # With few hours only a mean is fitted.
    mask = np.ones((*count.shape, design.shape[1]))
    mask[count < _RHYTHM_FROM, 1:] = 0
    columns = mask.sum(axis=-1)
    answers = np.maximum(n.sum(axis=-1), 1)
    mean = (n * value).sum(axis=-1) / answers
    # At least the variance of a share of one in a thousand.
    within = np.maximum(squares.sum(axis=-1) / answers - mean**2, 1e-3)
    chance = np.where(there, within[..., None] / np.maximum(n, 1), 0.0)
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    shape = (*mask.shape, design.shape[1])
    both = mask[..., :, None] * mask[..., None, :]
    ridge = 1e-9 * np.eye(design.shape[1])
    between = np.zeros(count.shape)
    for _ in range(2):
        weights = np.where(there, 1 / (chance + between[..., None] + ~there), 0.0)
        information = (weights @ products).reshape(shape) * both + ridge
        inverse = np.linalg.inv(information) * both
        right = (weights * value) @ design
        coefficients = (inverse @ right[..., None])[..., 0]
        residuals = np.where(there, value - coefficients @ design.T, 0.0)
        # The method of moments: what the residuals' squares exceed chance by.
        free = 1 - columns / np.maximum(count, 1)
        excess = (residuals**2).sum(axis=-1) - chance.sum(axis=-1) * free
        between = np.maximum(0.0, excess / np.maximum(1, count - columns))
    return _Fit(count >= _FEWEST, coefficients, inverse, within, between)


def _design(hours: npt.NDArray[np.int64]) -> Floats:
    angle = 2 * np.pi * (hours % _DAY) / _DAY
    rhythm = (f(k * angle) for k in (1, 2) for f in (np.sin, np.cos))
    return np.stack([np.ones(len(hours)), *rhythm], axis=1)
