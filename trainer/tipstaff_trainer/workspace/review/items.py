"""Queries for items of the review queue."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Label, ReviewItem


def finished_by(items: ColumnElement[bool], who: str) -> Select[ReviewItem]:
    """The items that a reviewer finished, skipped or removed, latest first."""
    return (
        select(ReviewItem)
        .where(items, ReviewItem.holder == who, ReviewItem.finished_at.is_not(None))
        .order_by(ReviewItem.finished_at.desc(), ReviewItem.id.desc())
    )


def open_item(session: Session, item: ReviewItem) -> ReviewItem | None:
    """A newer item of the same row that is not done, as when the row was queued again."""
    return session.scalar(
        select(ReviewItem)
        .where(ReviewItem.row_id == item.row_id, ReviewItem.criterion == item.criterion)
        .where(ReviewItem.state != "done")
        .with_for_update()
    )


def get_item(session: Session, item_id: int, *, lock: bool = False) -> ReviewItem:
    """An item by id, locked on request.

    Raises:
        WorkspaceError: There is no such item.
    """
    query = select(ReviewItem).where(ReviewItem.id == item_id)
    item = session.scalar(query.with_for_update() if lock else query)
    if item is None:
        raise WorkspaceError(f"there is no row {item_id} in the review queue")
    return item


def other_label(session: Session, label: Label) -> Label | None:
    """The latest label of a row that another person gave before `label`."""
    return session.scalar(
        select(Label)
        .where(Label.row_id == label.row_id, Label.criterion == label.criterion)
        .where(Label.source == "human", Label.who != label.who, Label.id < label.id)
        .order_by(Label.id.desc())
        .limit(1)
    )


def own_note(session: Session, item: ReviewItem, who: str) -> str:
    """The note of a person's latest label of an item's row; may be empty."""
    note = session.scalar(
        select(Label.reason)
        .where(Label.row_id == item.row_id, Label.criterion == item.criterion)
        .where(Label.source == "human", Label.who == who)
        .order_by(Label.id.desc())
        .limit(1)
    )
    return note or ""
