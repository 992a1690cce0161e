"""Feedback, joined to the row that it is about as soon as both are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tipstaff_trainer.workspace.db.models import TrafficFeedback, TrafficRow
from tipstaff_trainer.workspace.db.rows import batched, execute_many, insertion
from tipstaff_trainer.workspace.traffic.counts import bounded, storable

_IDS_AT_ONCE = 500
_VALUES = ("good", "note", "at", "server_key", "key")


def parse_feedback(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reads a record of feedback, as columns of `TrafficFeedback`.

    Raises:
        KeyError: It lacks a value.
        TypeError: A value is of another type.
        ValueError: A value can't be stored.
    """
    return {
        "evaluator": bounded(record["evaluator"], 64),
        "request_id": storable(record["request"]),
        "source": bounded(record["source"], 64, cut=True),
        "good": bool(record["good"]),
        "note": storable(record["note"]),
        "at": float(record["at"]),
        "server_key": bounded(record["row"], 32),
        "key": None,
    }


def add_feedback(session: Session, feedback: Sequence[Mapping[str, Any]]) -> int:
    """Stores feedback; the latest of a source on a request replaces an earlier one."""
    # One statement can't change a row twice: the latest of each comes last.
    latest = {
        (each["evaluator"], each["request_id"], each["source"]): each
        for each in sorted(feedback, key=lambda each: float(each["at"]))
    }
    statement = insertion(session, TrafficFeedback)
    newer = statement.on_conflict_do_update(
        index_elements=["evaluator", "request_id", "source"],
        set_={name: statement.excluded[name] for name in _VALUES},
        where=statement.table.c.at <= statement.excluded.at,
    )
    execute_many(session, newer, list(latest.values()))
    return len(latest)


def resolve_feedback(
    session: Session, feedback: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Joins feedback and rows of which one is new.

    Where the server knew the row, it is that one, kept or not; else it is the latest that was
    answered with the request's id before the feedback came.
    """
    by_evaluator: defaultdict[str, set[str]] = defaultdict(set)
    for each in (*feedback, *rows):
        by_evaluator[each["evaluator"]].add(each["request_id"])
    for evaluator, requests in by_evaluator.items():
        for some in batched(requests, _IDS_AT_ONCE):
            unresolved = session.scalars(
                select(TrafficFeedback).where(
                    TrafficFeedback.evaluator == evaluator,
                    TrafficFeedback.request_id.in_(some),
                    TrafficFeedback.key.is_(None),
                )
            ).all()
            if unresolved:
                _resolve(session, evaluator, unresolved)
    session.flush()


def _resolve(session: Session, evaluator: str, unresolved: Sequence[TrafficFeedback]) -> None:
    """Looks up the rows of some feedback together."""
    keys = [each.server_key for each in unresolved if each.server_key]
    known = select(TrafficRow.key).where(
        TrafficRow.evaluator == evaluator, TrafficRow.key.in_(keys)
    )
    there = set(session.scalars(known)) if keys else set()
    requests = [each.request_id for each in unresolved if not each.server_key]
    answered: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    if requests:
        query = select(TrafficRow.request_id, TrafficRow.at, TrafficRow.key).where(
            TrafficRow.evaluator == evaluator, TrafficRow.request_id.in_(requests)
        )
        for request, at, key in session.execute(query):
            answered[request].append((at, key))
    for one in unresolved:
        if one.server_key:
            one.key = one.server_key if one.server_key in there else None
        else:
            before = [each for each in answered[one.request_id] if each[0] <= one.at]
            one.key = max(before)[1] if before else None
