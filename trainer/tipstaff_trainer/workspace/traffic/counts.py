"""Counts of all answers, by minute, hour and day."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from tipstaff_trainer.workspace.db.models import (
    DatabaseModel,
    TrafficCount,
    TrafficHour,
    TrafficReason,
)
from tipstaff_trainer.workspace.db.models.traffic import DAY, HOUR, MINUTE
from tipstaff_trainer.workspace.db.rows import execute_many, insertion

# Minutes are kept for a fortnight; charts of more are by the hour.
MINUTES_KEPT = 14 * DAY
_STRATUM = ("evaluator", "version", "caller", "verdict", "band")
_KEY = ("evaluator", "span", "start", "version", "caller", "verdict", "band")
_SUMS = ("n", "drawn", "dropped", "expected_bad", "expected_bad_squared", "seconds")
_HOUR_KEY = ("evaluator", "start", "version", "verdict")
_HOUR_SUMS = ("n", "expected_bad", "expected_bad_squared")
_REASON_KEY = ("evaluator", "start", "version", "caller", "reason")

Sums = list[float]
# What one record adds: its stratum, its minute, its sums and its reasons.
Counted = tuple[tuple[str, int, str, str, int], int, Sums, Mapping[str, int]]


def parse_counts(record: Mapping[str, Any]) -> Counted:
    """Reads a record of counts.

    Raises:
        KeyError: It lacks a value.
        TypeError: A value is of another type.
        ValueError: A value can't be stored.
    """
    stratum = _stratum(*(record[name] for name in _STRATUM))
    counts = [int(record[name]) for name in ("n", "drawn", "dropped")]
    sums = [float(record[name]) for name in ("sum_bad", "sum_bad_squared", "seconds")]
    reasons = {_reason(name): int(n) for name, n in record["reasons"].items()}
    return stratum, int(record["minute"]), [*counts, *sums], reasons


def add_counts(session: Session, records: Sequence[Counted]) -> None:
    """Adds counts to those that are there."""
    cells: dict[tuple[Any, ...], Sums] = {}
    hours: dict[tuple[Any, ...], Sums] = {}
    reasons: defaultdict[tuple[Any, ...], int] = defaultdict(int)
    oldest = time.time() - MINUTES_KEPT
    for (evaluator, version, caller, verdict, band), minute, sums, found in records:
        for span in (MINUTE, HOUR, DAY) if minute >= oldest else (HOUR, DAY):
            start = minute - minute % span
            _sum(cells, (evaluator, span, start, version, caller, verdict, band), sums)
        hour = minute - minute % HOUR
        _sum(hours, (evaluator, hour, version, verdict), [sums[0], sums[3], sums[4]])
        for reason, count in found.items():
            reasons[(evaluator, hour, version, caller, reason)] += count
    _add_up(session, TrafficCount, _KEY, _SUMS, cells)
    _add_up(session, TrafficHour, _HOUR_KEY, _HOUR_SUMS, hours)
    _add_up(session, TrafficReason, _REASON_KEY, ("n",), {key: [n] for key, n in reasons.items()})


def prune_minutes(session: Session, now: float) -> None:
    """Deletes the counts of minutes that are only needed by the hour."""
    old = TrafficCount.start < int(now) - MINUTES_KEPT
    session.execute(
        delete(TrafficCount)
        .where(TrafficCount.span == MINUTE, old)
        .execution_options(synchronize_session=False)
    )


def bounded(text: Any, most: int, *, cut: bool = False) -> str:
    """A text that a column of a length can hold.

    Raises:
        TypeError: It is no text.
        ValueError: It is too long and may not be cut, or can't be stored.
    """
    if not isinstance(text, str):
        raise TypeError(f"{text!r:.40} is no text")
    stored: str = storable(text)
    if len(stored) > most and not cut:
        raise ValueError(f"{stored[:40]!r}… is longer than {most} characters")
    return stored[:most]


def storable(text: str) -> str:
    """A text as both databases store it: without NUL and lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# Counts are many and of few kinds: each kind is checked once.
@lru_cache(maxsize=4096)
def _stratum(
    evaluator: str, version: int, caller: str, verdict: str, band: int
) -> tuple[str, int, str, str, int]:
    evaluator, caller = bounded(evaluator, 64), bounded(caller, 80, cut=True)
    return evaluator, int(version), caller, bounded(verdict, 8), int(band)


@lru_cache(maxsize=256)
def _reason(name: str) -> str:
    return bounded(name, 32, cut=True)


def _sum(cells: dict[tuple[Any, ...], Sums], key: tuple[Any, ...], sums: Sums) -> None:
    values = cells.get(key)
    if values is None:
        cells[key] = list(sums)
        return
    for index, value in enumerate(sums):
        values[index] += value


def _add_up(
    session: Session,
    table: type[DatabaseModel],
    key: Sequence[str],
    sums: Sequence[str],
    cells: Mapping[tuple[Any, ...], Sequence[float]],
) -> None:
    """Inserts rows, or adds their sums to the row of the same key."""
    names = (*key, *sums)
    # In order, so that a batch's rows are beside each other in the index.
    rows = [
        dict(zip(names, (*place, *values), strict=True))
        for place, values in sorted(cells.items(), key=lambda each: each[0])
    ]
    statement = insertion(session, table)
    target = statement.table
    added = {name: target.c[name] + statement.excluded[name] for name in sums}
    execute_many(
        session, statement.on_conflict_do_update(index_elements=list(key), set_=added), rows
    )
