"""Reads the counts of all answers, by what a page needs to tell apart.

A quarter has some hundred thousand counts by hour, caller and score. So whole days are read by the
day, and only the ends of a window by the hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, and_, cast, func, literal, or_, select
from sqlalchemy.types import Integer

from tipstaff_trainer.monitoring.spikes import HourlySeries
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    TrafficAttribute,
    TrafficCount,
    TrafficHour,
    TrafficReason,
    TrafficRow,
)
from tipstaff_trainer.workspace.db.models.traffic import DAY, HOUR, MINUTE
from tipstaff_trainer.workspace.traffic.window import VERDICTS, Cell, Window

# Hours before a window that its spikes are compared with.
_REFERENCE = 14 * DAY

# An hour's start and a verdict; the number of such answers, the sum of 1 − score over them, and the
# sum of its square.
Hour = tuple[int, str, int, float, float]


def read_totals(database: Database, evaluator: str, window: Window) -> list[Cell]:
    """All answers of a window, by version, caller, verdict and tenth of the score."""
    keys = (TrafficCount.version, TrafficCount.caller, TrafficCount.verdict, TrafficCount.band)
    query = (
        select(*keys, *_sums())
        .where(TrafficCount.evaluator == evaluator, _in_time(window), *_narrow(window))
        .group_by(*keys)
    )
    return [_cell((0, *row)) for row in database.rows(query)]


def read_days(database: Database, evaluator: str, window: Window) -> list[Cell]:
    """The answers of the days that a window touches, by day, version and verdict."""
    keys = (TrafficCount.start, TrafficCount.version, TrafficCount.verdict)
    first = int(window.since) // DAY * DAY
    query = (
        select(*keys, *_sums())
        .where(TrafficCount.evaluator == evaluator, TrafficCount.span == DAY)
        .where(TrafficCount.start >= first, TrafficCount.start < window.until, *_narrow(window))
        .group_by(*keys)
    )
    return [
        _cell((start, version, "", verdict, 0, *sums))
        for start, version, verdict, *sums in database.rows(query)
    ]


def read_minutes(database: Database, evaluator: str, window: Window) -> list[Cell]:
    """The answers of a window, by minute and verdict."""
    keys = (TrafficCount.start, TrafficCount.verdict)
    query = (
        select(*keys, *_sums())
        .where(TrafficCount.evaluator == evaluator, _in_time(window), *_narrow(window))
        .group_by(*keys)
    )
    return [
        _cell((start, 0, "", verdict, 0, *sums)) for start, verdict, *sums in database.rows(query)
    ]


def read_hours(database: Database, evaluator: str, window: Window) -> list[Hour]:
    """The verdicts of each hour of a window, and of the two weeks before it."""
    start, end = int(window.since - _REFERENCE) // HOUR * HOUR, window.until
    table: type[TrafficHour] | type[TrafficCount] = TrafficHour
    conditions: list[ColumnElement[bool]] = []
    if window.caller is not None:
        # Callers may be many, and few pages are about one: their hours are added up here.
        table = TrafficCount
        conditions = [TrafficCount.span == HOUR, TrafficCount.caller == window.caller]
    if window.version is not None:
        conditions.append(table.version == window.version)
    keys = (table.start, table.verdict)
    sums = (table.n, table.expected_bad, table.expected_bad_squared)
    query = (
        select(*keys, *(func.sum(each) for each in sums))
        .where(table.evaluator == evaluator, table.start >= start, table.start < end, *conditions)
        .group_by(*keys)
    )
    found: list[tuple[Any, ...]] = [tuple(each) for each in database.rows(query)]
    return [
        (start, verdict, int(n), float(bad), float(squares))
        for start, verdict, n, bad, squares in found
    ]


def to_series(hours: Sequence[Hour], window: Window) -> dict[str, HourlySeries]:
    """The charts that spikes are found in; an hour that has not ended is no hour."""
    end = int(window.until) // HOUR * HOUR
    whole = [each for each in hours if each[0] < end]
    if not whole:
        return {}
    start = min(each[0] for each in whole)
    count = (end - start) // HOUR
    n = {name: np.zeros(count) for name in VERDICTS}
    bad, squares = np.zeros(count), np.zeros(count)
    for at, verdict, answers, total, square in whole:
        hour = (at - start) // HOUR
        n.setdefault(verdict, np.zeros(count))[hour] += answers
        bad[hour] += total
        squares[hour] += square
    everything = np.sum(list(n.values()), axis=0)
    charts = {name: HourlySeries(start, everything, n[name], n[name]) for name in VERDICTS}
    return {**charts, "expected_bad": HourlySeries(start, everything, bad, squares)}


def read_estimated(database: Database, evaluator: str, window: Window) -> list[Cell]:
    """The answers with a value of an attribute by step, version, caller, verdict and score.

    Only kept rows have attributes: each stands for as many answers as its probability says.
    """
    assert window.attribute is not None
    name, value = window.attribute
    step = window.step
    moment = cast(func.floor(TrafficRow.at), Integer)
    start = (moment - moment % literal(step)).label("start")
    keys = (TrafficRow.version, TrafficRow.caller, TrafficRow.verdict, TrafficRow.band)
    weight = 1 / TrafficRow.probability
    same = and_(
        TrafficRow.key == TrafficAttribute.key,
        TrafficRow.evaluator == TrafficAttribute.evaluator,
        TrafficRow.version == TrafficAttribute.version,
    )
    query = (
        select(
            start, *keys, func.sum(weight), func.count(), func.sum(weight * (1 - TrafficRow.score))
        )
        .select_from(TrafficAttribute)
        .join(TrafficRow, same)
        .where(
            TrafficAttribute.evaluator == evaluator,
            TrafficAttribute.name == name,
            TrafficAttribute.value == value,
            TrafficAttribute.at >= window.start,
            TrafficAttribute.at < window.until,
        )
        .group_by(start, *keys)
    )
    if window.version is not None:
        query = query.where(TrafficAttribute.version == window.version)
    if window.caller is not None:
        query = query.where(TrafficRow.caller == window.caller)
    return [
        Cell(start, version, caller, verdict, band, round(n), kept, 0, float(bad))
        for start, version, caller, verdict, band, n, kept, bad in database.rows(query)
    ]


def read_choices(database: Database, evaluator: str, window: Window) -> tuple[list[int], list[str]]:
    """The versions and callers of a window's days, whatever it is narrowed to."""
    keys = (TrafficCount.version, TrafficCount.caller)
    first = int(window.since) // DAY * DAY
    query = (
        select(*keys)
        .where(TrafficCount.evaluator == evaluator, TrafficCount.span == DAY)
        .where(TrafficCount.start >= first, TrafficCount.start < window.until)
        .distinct()
    )
    rows = database.rows(query)
    return sorted({version for version, _ in rows}), sorted({caller for _, caller in rows})


def read_reasons(database: Database, evaluator: str, window: Window) -> dict[str, int]:
    """Answers by reason."""
    total = func.sum(TrafficReason.n)
    query = (
        select(TrafficReason.reason, total)
        .where(
            TrafficReason.evaluator == evaluator,
            TrafficReason.start >= int(window.since) // HOUR * HOUR,
            TrafficReason.start < window.until,
        )
        .group_by(TrafficReason.reason)
        .order_by(total.desc())
    )
    if window.version is not None:
        query = query.where(TrafficReason.version == window.version)
    if window.caller is not None:
        query = query.where(TrafficReason.caller == window.caller)
    return {reason: int(count) for reason, count in database.rows(query)}


def _in_time(window: Window) -> ColumnElement[bool]:
    """The SQL condition of a window's counts, each counted once."""
    span, start = TrafficCount.span, TrafficCount.start
    begin, end = window.start, window.until
    if window.span == MINUTE:
        return and_(span == MINUTE, start >= begin, start < end)
    first, last = -(-begin // DAY) * DAY, int(end) // DAY * DAY
    if first >= last:
        return and_(span == HOUR, start >= begin, start < end)
    return or_(
        and_(span == DAY, start >= first, start < last),
        and_(span == HOUR, start >= begin, start < first),
        and_(span == HOUR, start >= last, start < end),
    )


def _narrow(window: Window) -> list[ColumnElement[bool]]:
    conditions = []
    if window.version is not None:
        conditions.append(TrafficCount.version == window.version)
    if window.caller is not None:
        conditions.append(TrafficCount.caller == window.caller)
    return conditions


def _sums() -> tuple[ColumnElement[Any], ...]:
    table = TrafficCount
    return tuple(
        func.sum(each) for each in (table.n, table.drawn, table.dropped, table.expected_bad)
    )


def _cell(row: Sequence[Any]) -> Cell:
    start, version, caller, verdict, band, n, drawn, dropped, bad = row
    return Cell(start, version, caller, verdict, band, int(n), int(drawn), int(dropped), float(bad))
