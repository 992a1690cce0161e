"""The review queue: rows that wait for people, one queue for each criterion of a data set.

A reviewer is handed a row that nobody else has on screen, and holds it for a while. If the time
runs out and another reviewer labels the row too, both labels are kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, func, or_, select

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
from tipstaff_trainer.workspace.db.rows import StoredRow, row_label_join, to_stored_row
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.labels.scores import ScoredBy
from tipstaff_trainer.workspace.review.items import (
    finished_by,
    get_item,
    open_item,
    other_label,
    own_note,
)
from tipstaff_trainer.workspace.review.selection import Kind, choose

PILOT_ROWS = 16
# Longer than a reviewer needs for one row, shorter than a lunch break.
_HOLD_TIME = timedelta(minutes=10)
_STATES = ("waiting", "done", "skipped", "removed")


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """The number of a queue's items in each state."""

    waiting: int
    done: int
    skipped: int
    removed: int = 0

    @property
    def total(self) -> int:
        """All items to review, with skipped ones and without removed ones."""
        return self.waiting + self.done + self.skipped


@dataclass(frozen=True, slots=True)
class Submitted:
    """A reviewer's recorded label.

    Attributes:
        label: The label.
        concurrent: Another person's label of the row, recorded while the reviewer looked at it.
    """

    label: Label
    concurrent: Label | None


class Reviews:
    """The review queues of a workspace, one for each data set and criterion."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(
        self,
        labels: LabelSet,
        counts: Mapping[Kind, int],
        *,
        rank_by: RankBy = "error",
        scored_by: ScoredBy | None = None,
        seed: int | None = None,
    ) -> list[int]:
        """Adds rows to the queue that don't wait there yet.

        Random rows are spread evenly among the others, which keep their order. If a random draw
        picks a row that waits already, the row's selection becomes `random`.

        Args:
            labels: The rows' labels by the criterion to judge by.
            counts: The most rows of each kind; see `selection.KINDS`.
            rank_by: The order of ranked rows; see `label_quality.review_queue`.
            scored_by: The scorer to compare with the judge's labels; see `Scores`.
            seed: The seed of random draws; None for a new one each time.

        Returns:
            The ids of the rows that were added, in their order.

        Raises:
            WorkspaceError: A kind or a ranking is unknown.
        """
        with self._database.writing() as session:
            # Others who add rows wait, and then choose different rows.
            self._database.lock_dataset(session, labels.dataset_id)
            selected = choose(
                session, labels, counts, random.Random(seed), rank_by=rank_by, scored_by=scored_by
            )
            last = session.scalar(select(func.max(ReviewItem.rank)).where(labels.of(ReviewItem)))
            first = 0 if last is None else last + 1
            session.add_all(
                ReviewItem(
                    dataset_id=labels.dataset_id,
                    criterion=labels.criterion,
                    row_id=each.row_id,
                    selection=each.selection,
                    why=each.why,
                    rank=rank,
                )
                for rank, each in enumerate(selected, start=first)
            )
            return [each.row_id for each in selected]

    def pilot(self, labels: LabelSet) -> list[int]:
        """Rows for a pilot; first those that an earlier pilot queued but no judge labelled."""
        query = (
            select(ReviewItem.row_id)
            .outerjoin(RowLabel, and_(RowLabel.row_id == ReviewItem.row_id, labels.of(RowLabel)))
            .where(labels.of(ReviewItem), ReviewItem.selection == "pilot")
            .where(ReviewItem.state == "waiting", RowLabel.judge_label.is_(None))
            .order_by(ReviewItem.rank)
            .limit(PILOT_ROWS)
        )
        unlabelled = list(self._database.scalars(query))
        return unlabelled + self.queue(labels, {"pilot": PILOT_ROWS - len(unlabelled)})

    def progress(self, labels: LabelSet) -> ReviewProgress:
        """The number of items in each state."""
        of_labels = select(ReviewItem.state, func.count()).where(labels.of(ReviewItem))
        counts = dict(self._database.rows(of_labels.group_by(ReviewItem.state)))
        return ReviewProgress(*(counts.get(state, 0) for state in _STATES))

    def waiting(
        self, labels: LabelSet, *, limit: int = 1000
    ) -> Sequence[tuple[ReviewItem, StoredRow]]:
        """The waiting rows, in the queue's order."""
        query = (
            select(ReviewItem, DatasetRow, RowLabel)
            .join(DatasetRow, DatasetRow.id == ReviewItem.row_id)
            .outerjoin(RowLabel, row_label_join(labels.criterion))
            .where(labels.of(ReviewItem), ReviewItem.state == "waiting")
            .order_by(ReviewItem.rank)
            .limit(limit)
        )
        rows = self._database.rows(query)
        return [(item, to_stored_row(row, label)) for item, row, label in rows]

    def claim(self, labels: LabelSet, who: str) -> ReviewItem | None:
        """The next item for a reviewer, who holds it; None if no item is free."""
        moment = now()
        mine = ReviewItem.holder == who
        free = or_(mine, ReviewItem.held_until.is_(None), ReviewItem.held_until < moment)
        query = (
            select(ReviewItem)
            .where(labels.of(ReviewItem), ReviewItem.state == "waiting", free)
            # An item that they hold already comes first.
            .order_by(mine.desc(), ReviewItem.rank)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self._database.writing() as session:
            item = session.scalar(query)
            if item is not None:
                item.holder, item.held_until = who, moment + _HOLD_TIME
            return item

    def item(self, item_id: int) -> ReviewItem:
        """One item of a queue.

        Raises:
            WorkspaceError: There is no such item.
        """
        with self._database.reading() as session:
            return get_item(session, item_id)

    def submit(
        self, item_id: int, value: float, *, who: str, based_on_label_id: int, reason: str = ""
    ) -> Submitted:
        """Records a reviewer's label.

        Args:
            item_id: The item in the queue.
            value: 1 is good, 0 is bad; or a probability.
            who: The reviewer.
            based_on_label_id: The row's `last_label_id` when the row was shown.
            reason: The reviewer's note.

        Raises:
            WorkspaceError: There is no such item, or the label can't be used or stored.
        """
        _check_name(who)
        with self._database.writing() as session:
            item = get_item(session, item_id, lock=True)
            new = NewLabel(value, "human", who, item.selection, based_on_label_id, reason)
            label = record(session, item.row_id, item.criterion, new)
            _finish(item, "done", who)
            concurrent = other_label(session, label) if label.concurrent else None
            return Submitted(label, concurrent)

    def skip(self, item_id: int, *, who: str) -> None:
        """Skips an item; `requeue_skipped` puts it back into the queue."""
        with self._database.writing() as session:
            item = get_item(session, item_id, lock=True)
            if item.state == "waiting":
                _finish(item, "skipped", who)

    def remove(self, item_id: int, *, who: str) -> None:
        """Removes a row that nobody should review, such as a test call; it never comes back."""
        with self._database.writing() as session:
            item = get_item(session, item_id, lock=True)
            if item.state in ("waiting", "skipped"):
                _finish(item, "removed", who)

    def requeue_skipped(self, labels: LabelSet) -> int:
        """Puts skipped items back into the queue, and returns their number."""
        with self._database.writing() as session:
            items = session.scalars(
                select(ReviewItem).where(labels.of(ReviewItem), ReviewItem.state == "skipped")
            ).all()
            for item in items:
                item.state, item.holder, item.finished_at = "waiting", "", None
            return len(items)

    def undo(self, labels: LabelSet, *, who: str) -> ReviewItem | None:
        """Takes back a reviewer's last label, skip or removal; the row waits again.

        The note of a label stays.

        Returns:
            The item, which the reviewer holds; None if there is nothing to take back.
        """
        with self._database.writing() as session:
            # Keeps others from queueing the row at the same time.
            self._database.lock_dataset(session, labels.dataset_id)
            finished = finished_by(labels.of(ReviewItem), who)
            item = session.scalar(finished.limit(1).with_for_update())
            if item is None:
                return None
            if item.state == "done":
                row_label = session.get_one(RowLabel, (item.row_id, item.criterion))
                # The note stays: it is about the row, and may explain the next label.
                retraction = NewLabel(
                    None,
                    "human",
                    who,
                    item.selection,
                    row_label.last_label_id,
                    own_note(session, item, who),
                )
                record(session, item.row_id, item.criterion, retraction)
                if (newer := open_item(session, item)) is not None:
                    item.finished_at = None
                    item = newer
            item.state, item.finished_at = "waiting", None
            item.holder, item.held_until = who, now() + _HOLD_TIME
            return item

    def before(self, item: ReviewItem, *, who: str) -> ReviewItem | None:
        """The item that a reviewer finished before another; None if that was their first."""
        same_queue = and_(
            ReviewItem.dataset_id == item.dataset_id, ReviewItem.criterion == item.criterion
        )
        query = finished_by(same_queue, who)
        if item.finished_at is not None:
            query = query.where(ReviewItem.finished_at < item.finished_at)
        return self._database.scalar(query.limit(1))


def _finish(item: ReviewItem, state: str, who: str) -> None:
    item.state, item.holder, item.held_until, item.finished_at = state, who, None, now()


def _check_name(who: str) -> None:
    if not who.strip() or len(who) > 80:
        raise WorkspaceError("a reviewer's name is needed, of at most 80 characters")
