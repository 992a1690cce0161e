"""The reviewed rows of a window: drawn ones, which rates rest on, and picked ones.

People review a day's rows by rank. So the rows of each day up to the last drawn one that they
looked at, and the rank of the next, tell how far they have come: no page reads all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import aliased

from tipstaff_trainer.monitoring.reviews import KeptRow, Sample, drawn_reviews
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.hints import without_index
from tipstaff_trainer.workspace.db.models import DatasetRow, ReviewItem, RowLabel, TrafficRow
from tipstaff_trainer.workspace.db.models.traffic import DAY
from tipstaff_trainer.workspace.db.rows import batched
from tipstaff_trainer.workspace.traffic.kept import criterion_of, has_text
from tipstaff_trainer.workspace.traffic.window import Window

# A person has looked at it: with a label, or without one.
LOOKED_AT = ("done", "skipped", "removed")
# A quarter; SQLite takes at most a thousand conditions.
_DAYS_AT_ONCE = 100


def read_sample(
    database: Database, evaluator: str, dataset: int, window: Window
) -> tuple[Sample, int]:
    """The reviewed rows of the days that a window touches, of its version and caller.

    Returns:
        Those that were drawn, and the number of others, which train and never estimate.
    """
    in_days = _in_days(evaluator, window)
    by_person = _by_person(dataset)
    rows: dict[tuple[str, int], KeptRow] = {}
    with database.reading() as session:
        ends: list[Any] = list(session.execute(_ends(dataset, in_days)))
        for some in batched(ends, _DAYS_AT_ONCE):
            for key, *others in session.execute(_reached(evaluator, dataset, some, by_person)):
                kept = _to_kept(*others)
                rows[key, kept.version] = kept
        by_people = session.scalar(_labelled(window, in_days, by_person)) or 0
    nexts = [
        KeptRow(day, 1.0, rank, None, 0.0, "", waiting=True)
        for day, _, rank in ends
        if rank is not None
    ]
    # The next rank is that of any version and caller, so the sample is narrowed last.
    everything = drawn_reviews([*rows.values(), *nexts])
    sample = everything.where(version=window.version, caller=window.caller)
    return sample, max(0, by_people - len(sample.drawn))


def _in_days(evaluator: str, window: Window) -> ColumnElement[bool]:
    """The evaluator's rows of the days that the window touches."""
    first, last = int(window.since // DAY), int(window.until // DAY)
    # By the index of days SQLite would read all rows of the days to find the few that people
    # looked at.
    return and_(
        without_index(TrafficRow.evaluator) == evaluator,
        without_index(TrafficRow.day).between(first, last),
    )


def _by_person(dataset: int) -> ColumnElement[bool]:
    """The labels that people gave."""
    return and_(
        RowLabel.dataset_id == dataset,
        RowLabel.criterion == criterion_of(dataset),
        RowLabel.label_source == "human",
    )


def _ends(dataset: int, in_days: ColumnElement[bool]) -> Select[int, float, float | None]:
    """Each day, the rank of its last drawn row that people looked at, and the rank after it."""
    looked_at = select(ReviewItem.row_id).where(
        ReviewItem.dataset_id == dataset,
        ReviewItem.criterion == criterion_of(dataset),
        ReviewItem.selection == "drawn",
        ReviewItem.state.in_(LOOKED_AT),
    )
    ends = (
        select(TrafficRow.evaluator, TrafficRow.day, func.max(TrafficRow.rank).label("rank"))
        .where(TrafficRow.row_id.in_(looked_at), in_days)
        .group_by(TrafficRow.evaluator, TrafficRow.day)
        .subquery()
    )
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
    return select(ends.c.day, ends.c.rank, next_rank)


def _reached(
    evaluator: str, dataset: int, ends: Sequence[Any], by_person: ColumnElement[bool]
) -> Select[*tuple[Any, ...]]:
    """The rows of each day up to its end, for one day at least: key, `_to_kept`'s arguments."""
    row, item = TrafficRow, aliased(ReviewItem)
    # A condition for each day: PostgreSQL doesn't know how few rows a joined table of ends leaves,
    # and reads all. SQLite takes the index of ranks only with the evaluator in each condition.
    reached = or_(
        *(
            and_(row.evaluator == evaluator, row.day == day, row.rank <= rank)
            for day, rank, _ in ends
        )
    )
    kept = (row.day, row.probability, row.rank, row.score, row.verdict, row.version, row.caller)
    return (
        select(row.key, *kept, RowLabel.label, item.id, has_text())
        .join(DatasetRow, DatasetRow.id == row.row_id)
        .where(reached)
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
