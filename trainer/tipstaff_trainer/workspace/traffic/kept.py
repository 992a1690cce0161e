"""Kept rows of an evaluator: their latency, coverage and attributes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, or_, select

from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    DatasetRow,
    LabelSet,
    TrafficAttribute,
    TrafficRow,
)
from tipstaff_trainer.workspace.traffic.window import Window

# Attributes and latency are of so many rows at most, the latest: more would say the same.
_MOST_ROWS = 2000
_MOST_VALUES = 8


@dataclass(frozen=True, slots=True)
class Latency:
    """Times from arrival to answer, in milliseconds, and how much was read.

    Attributes:
        median: Half were faster.
        p95: One in twenty was slower.
        partial: The share of answers of which not all was scored.
    """

    median: float
    p95: float
    partial: float


@dataclass(frozen=True, slots=True)
class AttributeShare:
    """Answers with one value of an attribute, estimated from kept rows.

    Attributes:
        name: The attribute.
        value: Its value.
        share: Among all answers.
        verdicts: The shares of verdicts among them.
    """

    name: str
    value: str
    share: float
    verdicts: Mapping[str, float]


def in_window(evaluator: str, window: Window) -> ColumnElement[bool]:
    """The SQL condition that a row of traffic is in a window."""
    conditions = [
        TrafficRow.evaluator == evaluator,
        TrafficRow.at >= window.since,
        TrafficRow.at < window.until,
    ]
    if window.version is not None:
        conditions.append(TrafficRow.version == window.version)
    if window.caller is not None:
        conditions.append(TrafficRow.caller == window.caller)
    if window.attribute is not None:
        name, value = window.attribute
        conditions.append(
            exists().where(
                TrafficAttribute.evaluator == evaluator,
                TrafficAttribute.name == name,
                TrafficAttribute.value == value,
                TrafficAttribute.at == TrafficRow.at,
                TrafficAttribute.key == TrafficRow.key,
            )
        )
    return and_(*conditions)


def has_text() -> ColumnElement[bool]:
    """The SQL condition that people can judge a row: where redaction fails, it is kept without."""
    return or_(DatasetRow.output.is_not(None), DatasetRow.input.is_not(None))


def criterion_of(dataset: int) -> ScalarSelect[str]:
    """The criterion that the evaluator of a data set of traffic judges by: the set's first.

    People may add others to the data set, and labels by these say nothing of the evaluator.
    """
    return (
        select(LabelSet.criterion)
        .where(LabelSet.dataset_id == dataset)
        .order_by(LabelSet.created_at, LabelSet.criterion)
        .limit(1)
        .scalar_subquery()
    )


def read_kept(
    database: Database, evaluator: str, window: Window
) -> tuple[Latency | None, list[AttributeShare]]:
    """Latency, coverage and attributes of all answers, estimated from the latest kept ones."""
    query = (
        select(
            *(TrafficRow.seconds, TrafficRow.coverage, TrafficRow.probability),
            *(TrafficRow.verdict, TrafficRow.attributes),
        )
        .where(in_window(evaluator, window))
        .order_by(TrafficRow.at.desc())
        .limit(_MOST_ROWS)
    )
    rows = database.rows(query)
    timed = [(seconds, part, rate) for seconds, part, rate, *_ in rows if seconds is not None]
    return _latency(timed), _shares([(each[2], each[3], each[4]) for each in rows])


def _latency(rows: Sequence[tuple[float, float, float]]) -> Latency | None:
    if not rows:
        return None
    seconds, coverage, probability = np.array(rows, dtype=float).T
    weights = 1 / probability
    order = np.argsort(seconds)
    below = np.cumsum(weights[order]) / weights.sum()
    median, p95 = (float(seconds[order[np.searchsorted(below, share)]]) for share in (0.5, 0.949))
    partial = float(np.average(coverage < 1, weights=weights))
    return Latency(1000 * median, 1000 * p95, partial)


def _shares(rows: Sequence[tuple[float, str, Mapping[str, Any]]]) -> list[AttributeShare]:
    """The most frequent values of each attribute."""
    weights: defaultdict[tuple[str, str], defaultdict[str, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    total = 0.0
    for probability, verdict, attributes in rows:
        total += 1 / probability
        for name, value in attributes.items():
            weights[name, str(value)][verdict] += 1 / probability
    by_name: defaultdict[str, list[AttributeShare]] = defaultdict(list)
    for (name, value), verdicts in weights.items():
        weight = sum(verdicts.values())
        shares = {verdict: each / weight for verdict, each in verdicts.items()}
        by_name[name].append(AttributeShare(name, value, weight / total, shares))
    return [
        each
        for name in sorted(by_name)
        for each in sorted(by_name[name], key=lambda one: -one.share)[:_MOST_VALUES]
    ]
