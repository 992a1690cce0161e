"""The numbers behind the plots."""

from __future__ import annotations

import numpy as np
from sklearn import metrics

from tipstaff_trainer.evaluation.base import Bools, Floats, Part

_POINTS = 200
_BINS = 10
_HISTOGRAM_BINS = 20


class Curve(Part):
    """A line: `x` and `y` of the same length, with a label for each axis."""

    name: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class ReliabilityBin(Part):
    """Rows with similar scores.

    Attributes:
        low: Lower end of their scores.
        high: Upper end.
        n: Rows.
        score: Their mean score.
        good: Their mean label; with hard labels, the share of good rows.
    """

    low: float
    high: float
    n: int
    score: float
    good: float


class Histogram(Part):
    """Rows by score: `edges` has one number more than the counts."""

    edges: tuple[float, ...]
    good: tuple[int, ...]
    bad: tuple[int, ...]


def roc(good: Bools, scores: Floats) -> Curve | None:
    """The share of good rows over a cut against the share of bad ones; None for one class."""
    if not 0 < good.sum() < len(good):
        return None
    false_pass, recall, _ = metrics.roc_curve(good, scores)
    return _curve("ROC", "bad rows over the cut", "good rows over the cut", false_pass, recall)


def precision_recall(good: Bools, scores: Floats) -> Curve | None:
    """The share of good rows among those over a cut against the share of good rows over it."""
    if not 0 < good.sum() < len(good):
        return None
    precision, recall, _ = metrics.precision_recall_curve(good, scores)
    # The last point is a convention, at no cut.
    return _curve(
        "precision-recall",
        "good rows over the cut (recall)",
        "good among those over it (precision)",
        recall[:-1][::-1],
        precision[:-1][::-1],
    )


def reliability(labels: Floats, scores: Floats) -> tuple[ReliabilityBin, ...]:
    """Ten bins of equal width, without empty ones; labels in [0, 1]."""
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    return tuple(
        ReliabilityBin(
            low=index / _BINS,
            high=(index + 1) / _BINS,
            n=int(inside.sum()),
            score=float(scores[inside].mean()),
            good=float(labels[inside].mean()),
        )
        for index in range(_BINS)
        if (inside := bins == index).any()
    )


def histogram(good: Bools, scores: Floats) -> Histogram:
    """Good and bad rows in twenty bins of the score."""
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    return Histogram(
        edges=tuple(edges.round(4).tolist()),
        good=tuple(np.histogram(scores[good], edges)[0].tolist()),
        bad=tuple(np.histogram(scores[~good], edges)[0].tolist()),
    )


def _curve(name: str, x_label: str, y_label: str, x: Floats, y: Floats) -> Curve:
    """A curve with as many points as a plot can show, at equal steps along the line."""
    if len(x) > _POINTS:
        distances = np.r_[0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
        steps = np.linspace(0, distances[-1], _POINTS)
        sample = np.unique(np.searchsorted(distances, steps).clip(0, len(x) - 1))
        x, y = x[sample], y[sample]
    return Curve(
        name=name,
        x_label=x_label,
        y_label=y_label,
        x=tuple(np.round(x, 4).tolist()),
        y=tuple(np.round(y, 4).tolist()),
    )
