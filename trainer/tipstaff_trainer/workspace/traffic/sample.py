"""The reviewed rows of a window: drawn ones, which rates rest on, and picked ones.

People review a day's rows by rank. So the rows of each day up to the last drawn one that they
looked at, and the rank of the next, tell how far they have come: no page reads all rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, func, select, true
from sqlalchemy.orm import aliased

from tipstaff_trainer.monitoring.reviews import KeptRow, Sample, drawn_reviews
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import DatasetRow, ReviewItem, RowLabel, TrafficRow
from tipstaff_trainer.workspace.db.models.traffic import DAY
from tipstaff_trainer.workspace.traffic.kept import criterion_of, has_text
from tipstaff_trainer.workspace.traffic.window import Window

# A person has looked at it: with a label, or without one.
LOOKED_AT = ("done", "skipped", "removed")


def read_sample(
    database: Database, evaluator: str, dataset: int, window: Window
) -> tuple[Sample, int]:
    """The reviewed rows of the days that a window touches, of its version and caller.

    Returns:
        Those that were drawn, and the number of others, which train and never estimate.
    """
    in_days = _in_days(evaluator, window)
    by_person = _by_person(dataset)
    ends = _ends(dataset, in_days)
    with database.reading() as session:
        records = [tuple(each) for each in session.execute(_reached(dataset, ends, by_person))]
        rows = {(values[0], values[6]): _to_kept(*values[1:]) for values in records}
        waiting = session.execute(_next_ranks(ends)).all()
        by_people = session.scalar(_labelled(window, in_days, by_person)) or 0
    nexts = [
        KeptRow(day, 1.0, rank, None, 0.0, "", waiting=True)
        for day, rank in waiting
        if rank is not None
    ]
    # The next rank is that of any version and caller, so the sample is narrowed last.
    everything = drawn_reviews([*rows.values(), *nexts])
    sample = everything.where(version=window.version, caller=window.caller)
    return sample, max(0, by_people - len(sample.drawn))


def _in_days(evaluator: str, window: Window) -> ColumnElement[bool]:
    """The evaluator's rows of the days that the window touches."""
    first, last = int(window.since // DAY), int(window.until // DAY)
    # `coalesce` keeps SQLite from the index of days, by which it would read all rows of the days to
    # find the few that people looked at.
    return and_(
        func.coalesce(TrafficRow.evaluator, "") == evaluator,
        func.coalesce(TrafficRow.day, 0).between(first, last),
    )


def _by_person(dataset: int) -> ColumnElement[bool]:
    """The labels that people gave."""
    return and_(
        RowLabel.dataset_id == dataset,
        RowLabel.criterion == criterion_of(dataset),
        RowLabel.label_source == "human",
    )


def _ends(dataset: int, in_days: ColumnElement[bool]) -> Subquery:
    """For each day, the rank of the last drawn row that people looked at."""
    looked_at = select(ReviewItem.row_id).where(
        ReviewItem.dataset_id == dataset,
        ReviewItem.criterion == criterion_of(dataset),
        ReviewItem.selection == "drawn",
        ReviewItem.state.in_(LOOKED_AT),
    )
    return (
        select(TrafficRow.evaluator, TrafficRow.day, func.max(TrafficRow.rank).label("rank"))
        .where(TrafficRow.row_id.in_(looked_at), in_days)
        .group_by(TrafficRow.evaluator, TrafficRow.day)
        .subquery()
    )


def _reached(
    dataset: int, ends: Subquery, by_person: ColumnElement[bool]
) -> Select[*tuple[Any, ...]]:
    """The rows of each day up to its end: key, the arguments of `_to_kept`."""
    row, item = TrafficRow, aliased(ReviewItem)
    columns = (row.day, row.probability, row.rank, row.score, row.verdict, row.version, row.caller)
    return (
        select(row.key, *columns, RowLabel.label, item.id, has_text())
        .join(DatasetRow, DatasetRow.id == row.row_id)
        .join(
            ends,
            and_(
                row.evaluator == ends.c.evaluator,
                row.day == ends.c.day,
                row.rank <= ends.c.rank,
            ),
        )
        .outerjoin(RowLabel, and_(RowLabel.row_id == row.row_id, by_person))
        .outerjoin(
            item,
            and_(
                item.row_id == row.row_id,
                item.dataset_id == dataset,
                item.criterion == criterion_of(dataset),
                item.state.in_(LOOKED_AT),
            ),
        )
    )


def _next_ranks(ends: Subquery) -> Select[int, float | None]:
    """Each day, and the rank after its end; NULL if no row follows."""
    later = aliased(TrafficRow)
    next_rank = (
        select(func.min(later.rank))
        .where(
            later.evaluator == ends.c.evaluator,
            later.day == ends.c.day,
            later.rank > ends.c.rank,
        )
        .scalar_subquery()
    )
    return select(ends.c.day, next_rank)


def _labelled(
    window: Window, in_days: ColumnElement[bool], by_person: ColumnElement[bool]
) -> Select[int]:
    """How many rows of the window's version and caller people labelled, drawn or not."""
    row = TrafficRow
    return (
        select(func.count(row.key.distinct()))
        .where(row.row_id.in_(select(RowLabel.row_id).where(by_person)), in_days)
        .where(true() if window.version is None else row.version == window.version)
        .where(true() if window.caller is None else row.caller == window.caller)
    )


def _to_kept(
    day: int,
    probability: float,
    rank: float,
    score: float,
    verdict: str,
    version: int,
    caller: str,
    label: float | None,
    looked_at: int | None,
    readable: bool,
) -> KeptRow:
    return KeptRow(
        period=day,
        probability=probability,
        rank=rank,
        bad=None if label is None else 1 - label,
        expected=1 - score,
        verdict=verdict,
        version=version,
        caller=caller,
        # No person can judge a row without a text, so it counts as left without a label.
        waiting=bool(readable) and label is None and looked_at is None,
    )
