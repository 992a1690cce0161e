"""Queues rows of traffic for people: drawn ones for the estimates, picked ones to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from tipstaff_trainer.data import Selection
from tipstaff_trainer.label_quality.review_queue import interleave
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    DatasetRow,
    ReviewItem,
    RowLabel,
    TrafficFeedback,
    TrafficRow,
)
from tipstaff_trainer.workspace.db.models.traffic import DAY
from tipstaff_trainer.workspace.traffic.kept import criterion_of, has_text, in_window
from tipstaff_trainer.workspace.traffic.window import Window


@dataclass(frozen=True, slots=True)
class Triage:
    """Which rows to queue.

    Attributes:
        window: Where from.
        drawn: The most rows in the order of the draw, for the estimates.
        disputed: The most rows that feedback disagrees with.
        flagged: The most rows with REVIEW or BLOCK, those nearest to a threshold first.
        passed: The most rows with PASS, those with the lowest score first, as behind a spike.
        why: Why they are queued, in words, as a spike's name; may be empty.
    """

    window: Window
    drawn: int = 0
    disputed: int = 0
    flagged: int = 0
    passed: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Picked:
    row_id: int
    selection: Selection
    why: str


def queue_rows(database: Database, evaluator: str, dataset: int, triage: Triage) -> int:
    """Queues rows that were never queued and that no person has labelled.

    Returns:
        How many.
    """
    with database.writing() as session:
        database.lock_dataset(session, dataset)
        criterion = session.scalar(select(criterion_of(dataset)))
        drawn = list(_drawn(session, evaluator, dataset, triage))
        picked = list(_picked(session, evaluator, dataset, triage))
        known = {each.row_id for each in drawn}
        unique = {each.row_id: each for each in picked if each.row_id not in known}
        both = [*drawn, *unique.values()]
        order = interleave(range(len(drawn)), range(len(drawn), len(both)))
        last = session.scalar(
            select(func.max(ReviewItem.rank)).where(
                ReviewItem.dataset_id == dataset, ReviewItem.criterion == criterion
            )
        )
        session.add_all(
            ReviewItem(
                dataset_id=dataset,
                row_id=both[place].row_id,
                criterion=criterion,
                selection=both[place].selection,
                why=both[place].why,
                rank=rank,
            )
            for rank, place in enumerate(order, start=0 if last is None else last + 1)
        )
        return len(both)


def _drawn(session: Session, evaluator: str, dataset: int, triage: Triage) -> Iterator[_Picked]:
    if triage.drawn <= 0:
        return
    # Whole days, whose rows are reviewed in one order: else those before would wait forever.
    first, last = int(triage.window.since // DAY), int(triage.window.until // DAY)
    query = (
        _new_rows(dataset)
        .where(TrafficRow.evaluator == evaluator, TrafficRow.day.between(first, last))
        .order_by(TrafficRow.rank)
    )
    for row in session.scalars(query.limit(triage.drawn)):
        yield _Picked(row.row_id, "drawn", "")


def _picked(session: Session, evaluator: str, dataset: int, triage: Triage) -> Iterator[_Picked]:
    because = f"{triage.why}: " if triage.why else ""
    fresh = _new_rows(dataset).where(in_window(evaluator, triage.window))
    if triage.disputed > 0:
        disagree = or_(
            and_(TrafficFeedback.good.is_(True), TrafficRow.verdict == "BLOCK"),
            and_(TrafficFeedback.good.is_(False), TrafficRow.verdict == "PASS"),
        )
        joined = and_(
            TrafficFeedback.evaluator == TrafficRow.evaluator,
            TrafficFeedback.key == TrafficRow.key,
        )
        query = (
            fresh.join(TrafficFeedback, joined)
            .where(disagree)
            .add_columns(TrafficFeedback.source, TrafficFeedback.good)
            .order_by(TrafficFeedback.at.desc())
            .limit(triage.disputed)
        )
        for row, source, good in session.execute(query):
            said = f"{source or 'feedback'} says {'good' if good else 'bad'}"
            yield _Picked(row.row_id, "disputed", f"{because}{row.verdict}, and {said}")
    flagged = fresh.where(TrafficRow.verdict != "PASS").order_by(
        func.abs(TrafficRow.score - 0.5), TrafficRow.key
    )
    passed = fresh.where(TrafficRow.verdict == "PASS").order_by(TrafficRow.score, TrafficRow.key)
    for query_rows, count in ((flagged, triage.flagged), (passed, triage.passed)):
        if count > 0:
            for row in session.scalars(query_rows.limit(count)):
                yield _Picked(row.row_id, "uncertain", f"{because}{row.verdict} at {row.score:.2f}")


def _new_rows(dataset: int) -> Select[TrafficRow]:
    """Rows with a text that no person has labelled, and that were never in the queue."""
    criterion = criterion_of(dataset)
    queued = exists().where(
        ReviewItem.row_id == TrafficRow.row_id,
        ReviewItem.dataset_id == dataset,
        ReviewItem.criterion == criterion,
    )
    labelled = exists().where(
        RowLabel.row_id == TrafficRow.row_id,
        RowLabel.criterion == criterion,
        RowLabel.label_source == "human",
    )
    readable = exists().where(DatasetRow.id == TrafficRow.row_id, has_text())
    return select(TrafficRow).where(~queued, ~labelled, readable)
