"""The review queue: which rows a person should see, one at a time, and what they said.

There is one for each criterion that a data set is judged by. Rows are queued with why
(`selection`). Whoever asks is handed a row that nobody else has on their screen; it is held for
them for a while. A label that comes late is kept as a second one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.label_quality.review_queue import RankBy
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    DatasetRow,
    Label,
    LabelSet,
    ReviewItem,
    RowLabel,
    now,
)
from tipstaff_trainer.workspace.db.rows import StoredRow, labelled_by, stored
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.labels.scores import ScoredBy
from tipstaff_trainer.workspace.review.selection import Kind, choose

PILOT_ROWS = 16
# Longer than a person looks at one row, shorter than a lunch.
_HELD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review of a data set is: items in each state."""

    waiting: int
    done: int
    skipped: int

    @property
    def total(self) -> int:
        """All items, skipped ones too."""
        return self.waiting + self.done + self.skipped


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a label.

    Attributes:
        label: As it was recorded.
        crossed: The other person's label that came meanwhile, if one did; both are kept.
    """

    label: Label
    crossed: Label | None


class Reviews:
    """The review queues of a workspace, one for each data set and criterion."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(
        self,
        labels: LabelSet,
        wanted: Mapping[Kind, int],
        *,
        rank_by: RankBy = "error",
        scored_by: ScoredBy | None = None,
        seed: int | None = None,
    ) -> list[int]:
        """Puts rows into the queue, and none that waits there already.

        The random ones are spread evenly among the others, which come in their order. A row that
        waits for another reason and is drawn waits as drawn from then on.

        Args:
            labels: Of the rows, by the criterion that people are to judge them by.
            wanted: How many rows of each kind, at most; see `candidates.KINDS`.
            rank_by: The order of the ranked ones; see `judge.review_queue`.
            scored_by: Whose scores are compared with the judge's labels, from `Scores`.
            seed: Of the draws; None for another one each time.

        Returns:
            The rows that now wait, in their order.

        Raises:
            WorkspaceError: A kind is none, or the rows can't be ranked so.
        """
        with self._database.writing() as session:
            # Whoever chooses next sees what is chosen here, and takes other rows.
            self._database.lock_dataset(session, labels.dataset_id)
            chosen = choose(
                session,
                labels,
                wanted,
                rank_by=rank_by,
                scored_by=scored_by,
                generator=random.Random(seed),
            )
            last = session.scalar(select(func.max(ReviewItem.rank)).where(labels.of(ReviewItem)))
            session.add_all(
                ReviewItem(
                    dataset_id=labels.dataset_id,
                    criterion=labels.criterion,
                    row_id=each.row_id,
                    selection=each.selection,
                    why=each.why,
                    rank=rank,
                )
                for rank, each in enumerate(chosen, start=0 if last is None else last + 1)
            )
            return [each.row_id for each in chosen]

    def pilot(self, labels: LabelSet) -> list[int]:
        """Rows for a pilot: those that wait from one that came to nothing, and new ones."""
        with self._database.reading() as session:
            left = list(
                session.scalars(
                    select(ReviewItem.row_id)
                    .outerjoin(
                        RowLabel,
                        and_(RowLabel.row_id == ReviewItem.row_id, labels.of(RowLabel)),
                    )
                    .where(labels.of(ReviewItem), ReviewItem.selection == "pilot")
                    .where(ReviewItem.state == "waiting", RowLabel.judge_label.is_(None))
                    .order_by(ReviewItem.rank)
                    .limit(PILOT_ROWS)
                )
            )
        return left + self.queue(labels, {"pilot": PILOT_ROWS - len(left)})

    def progress(self, labels: LabelSet) -> Progress:
        """How far the review is."""
        with self._database.reading() as session:
            found = dict(
                session.execute(
                    select(ReviewItem.state, func.count())
                    .where(labels.of(ReviewItem))
                    .group_by(ReviewItem.state)
                ).all()
            )
        return Progress(*(found.get(state, 0) for state in ("waiting", "done", "skipped")))

    def waiting(
        self, labels: LabelSet, *, limit: int = 1000
    ) -> Sequence[tuple[ReviewItem, StoredRow]]:
        """The rows that wait, in their order."""
        query = (
            select(ReviewItem, DatasetRow, RowLabel)
            .join(DatasetRow, DatasetRow.id == ReviewItem.row_id)
            .outerjoin(RowLabel, labelled_by(labels.criterion))
            .where(labels.of(ReviewItem), ReviewItem.state == "waiting")
            .order_by(ReviewItem.rank)
            .limit(limit)
        )
        with self._database.reading() as session:
            return [(item, stored(row, label)) for item, row, label in session.execute(query)]

    def claim(self, labels: LabelSet, who: str) -> ReviewItem | None:
        """The next row for somebody, held for them; None when none waits that nobody else has."""
        with self._database.writing() as session:
            moment = now()
            mine = ReviewItem.holder == who
            item = session.scalar(
                select(ReviewItem)
                .where(
                    labels.of(ReviewItem),
                    ReviewItem.state == "waiting",
                    or_(mine, ReviewItem.held_until.is_(None), ReviewItem.held_until < moment),
                )
                # What was on their screen before comes first.
                .order_by(mine.desc(), ReviewItem.rank)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if item is not None:
                item.holder, item.held_until = who, moment + _HELD
            return item

    def item(self, item_id: int) -> ReviewItem:
        """One item of a queue.

        Raises:
            WorkspaceError: There is none.
        """
        with self._database.reading() as session:
            return _item(session, item_id)

    def submit(
        self, item_id: int, value: float, *, who: str, over: int, reason: str = ""
    ) -> Submitted:
        """Records what a person said of a row.

        Args:
            item_id: The queue's item.
            value: 1 is good, 0 is bad; or a probability between.
            who: The person.
            over: The row's `last_label_id` when it was shown to them.
            reason: Their note, if any.

        Raises:
            WorkspaceError: There is no such item, the label is none, or it can't be stored.
        """
        _check_name(who)
        with self._database.writing() as session:
            item = _item(session, item_id, lock=True)
            label = record(
                session,
                item.row_id,
                item.criterion,
                NewLabel(value, "human", who, item.selection, over, reason),
            )
            item.state, item.holder, item.held_until = "done", who, None
            item.finished_at = now()
            crossed = _other_label(session, label) if label.concurrent else None
            return Submitted(label, crossed)

    def skip(self, item_id: int, *, who: str) -> None:
        """Lays a row aside; `bring_back` puts it into the queue again."""
        with self._database.writing() as session:
            item = _item(session, item_id, lock=True)
            if item.state == "waiting":
                item.state, item.holder, item.held_until = "skipped", who, None
                item.finished_at = now()

    def bring_back(self, labels: LabelSet) -> int:
        """Puts what was skipped back into the queue; says how many rows that are."""
        with self._database.writing() as session:
            items = session.scalars(
                select(ReviewItem).where(labels.of(ReviewItem), ReviewItem.state == "skipped")
            ).all()
            for item in items:
                item.state, item.holder, item.finished_at = "waiting", "", None
            return len(items)

    def undo(self, labels: LabelSet, *, who: str) -> ReviewItem | None:
        """Takes back what somebody did last: their label no longer stands, their row waits again.

        Returns:
            The item, held for them; None when there is nothing to take back.
        """
        with self._database.writing() as session:
            # Else the row might be put into the queue while it comes back to it.
            self._database.lock_dataset(session, labels.dataset_id)
            item = session.scalar(
                _finished_by(labels.of(ReviewItem), who).limit(1).with_for_update()
            )
            if item is None:
                return None
            if item.state == "done":
                over = session.get_one(RowLabel, (item.row_id, item.criterion)).last_label_id
                taken_back = NewLabel(None, "human", who, item.selection, over)
                record(session, item.row_id, item.criterion, taken_back)
                if (again := _waiting_again(session, item)) is not None:
                    item.finished_at = None
                    item = again
            item.state, item.finished_at = "waiting", None
            item.holder, item.held_until = who, now() + _HELD
            return item

    def before(self, item: ReviewItem, *, who: str) -> ReviewItem | None:
        """What somebody finished before an item; None when that was their first."""
        with self._database.reading() as session:
            same = and_(
                ReviewItem.dataset_id == item.dataset_id, ReviewItem.criterion == item.criterion
            )
            query = _finished_by(same, who)
            if item.finished_at is not None:
                query = query.where(ReviewItem.finished_at < item.finished_at)
            return session.scalar(query.limit(1))


def _finished_by(these: ColumnElement[bool], who: str) -> Select[ReviewItem]:
    return (
        select(ReviewItem)
        .where(
            these,
            ReviewItem.holder == who,
            ReviewItem.finished_at.is_not(None),
        )
        .order_by(ReviewItem.finished_at.desc(), ReviewItem.id.desc())
    )


def _waiting_again(session: Session, item: ReviewItem) -> ReviewItem | None:
    """The place in the queue that the row of an item that is done was given since."""
    return session.scalar(
        select(ReviewItem)
        .where(ReviewItem.row_id == item.row_id, ReviewItem.criterion == item.criterion)
        .where(ReviewItem.state != "done")
        .with_for_update()
    )


def _item(session: Session, item_id: int, *, lock: bool = False) -> ReviewItem:
    query = select(ReviewItem).where(ReviewItem.id == item_id)
    item = session.scalar(query.with_for_update() if lock else query)
    if item is None:
        raise WorkspaceError(f"there is no row {item_id} in the review queue")
    return item


def _other_label(session: Session, label: Label) -> Label | None:
    return session.scalar(
        select(Label)
        .where(
            Label.row_id == label.row_id,
            Label.criterion == label.criterion,
            Label.source == "human",
            Label.who != label.who,
            Label.id < label.id,
        )
        .order_by(Label.id.desc())
        .limit(1)
    )


def _check_name(who: str) -> None:
    if not who.strip() or len(who) > 80:
        raise WorkspaceError("who is it? Give a name of 80 characters at most")
