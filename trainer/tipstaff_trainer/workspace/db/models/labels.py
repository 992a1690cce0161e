"""Labels, the review queue and evaluators' scores."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from tipstaff_trainer.workspace.db.models.base import DatabaseModel, Key, now

_NOT_DONE = text("state <> 'done'")


class RowLabel(DatabaseModel):
    """A row's effective label by one criterion; exists once the row has a label.

    Attributes:
        dataset_id: Copied from the row, as is `position`, to index pages of labelled rows.
        label: The effective label (`labels.effective_label`); None if all were taken back.
        label_source: The effective label's source: `human`, `judge` or `other`; empty without one.
        selection: How the row was chosen for labelling.
        disputed: Whether people labelled the row differently.
        judge_label: The judge's latest label; None without one.
        last_label_id: The id of the row's latest label.
    """

    __tablename__ = "row_labels"
    __table_args__ = (
        Index("row_labels_source", "dataset_id", "criterion", "label_source", "position"),
        Index("row_labels_disputed", "dataset_id", "criterion", "disputed", "position"),
    )

    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"), primary_key=True)
    criterion: Mapped[str] = mapped_column(String(64), primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    position: Mapped[int]
    label: Mapped[float | None]
    label_source: Mapped[str] = mapped_column(String(8), default="")
    selection: Mapped[str] = mapped_column(String(12), default="unknown")
    disputed: Mapped[bool] = mapped_column(default=False)
    judge_label: Mapped[float | None]
    last_label_id: Mapped[int] = mapped_column(BigInteger, default=0)


class Label(DatabaseModel):
    """One label in the append-only log.

    Attributes:
        criterion: The criterion's name; see `LabelSet`.
        value: In [0, 1]; None takes back the same person's earlier labels.
        source: `human`, `judge` or `other`.
        who: The person, the judge's model, or the file.
        selection: How the row was chosen for labelling.
        based_on_label_id: The row's latest label when its texts were shown to the labeller; 0 if
            it had none.
        concurrent: Whether another person labelled the row after that and before this label.
        reason: The judge's reason, or the person's note.
        details: More about a judge's label, such as its kind and the prompt's hash.
    """

    __tablename__ = "labels"
    __table_args__ = (
        Index("labels_row", "row_id", "id"),
        Index("labels_who", "dataset_id", "source", "who"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"))
    criterion: Mapped[str] = mapped_column(String(64), default="")
    value: Mapped[float | None]
    source: Mapped[str] = mapped_column(String(8))
    who: Mapped[str] = mapped_column(String(200))
    selection: Mapped[str] = mapped_column(String(12), default="unknown")
    based_on_label_id: Mapped[int] = mapped_column(BigInteger, default=0)
    concurrent: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ReviewItem(DatabaseModel):
    """A row in the review queue of one criterion.

    Attributes:
        criterion: The criterion to judge the row by; see `LabelSet`.
        selection: How the row was chosen: `pilot`, `uncertain`, `disputed` or `random`.
        why: Why the row was picked, in words; may be empty.
        rank: The place in the queue, lowest first.
        state: `waiting`, `done`, `skipped`, or `removed` for good.
        holder: The person who has the row on screen; others get it after `held_until`.
    """

    __tablename__ = "review_items"
    __table_args__ = (
        Index("review_items_place", "dataset_id", "criterion", "state", "rank"),
        Index("review_items_row", "row_id"),
        # A row waits at most once; after its review it may be queued again.
        Index(
            "review_items_once",
            *("row_id", "criterion"),
            unique=True,
            sqlite_where=_NOT_DONE,
            postgresql_where=_NOT_DONE,
        ),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"))
    criterion: Mapped[str] = mapped_column(String(64), default="")
    selection: Mapped[str] = mapped_column(String(12))
    why: Mapped[str] = mapped_column(Text, default="")
    rank: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    holder: Mapped[str] = mapped_column(String(80), default="")
    held_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RowScore(DatabaseModel):
    """An evaluator version's score of a row, kept to choose rows for review.

    Attributes:
        evaluator: The evaluator's name. `~` and a criterion mark an estimate from the other rows'
            labels by that criterion, which no evaluator gave.
        version: The evaluator's version; 0 for an estimate from other rows.
        score: In [0, 1]; None if the row has no text in the fields that the evaluator reads.
    """

    __tablename__ = "scores"
    __table_args__ = (Index("scores_row", "row_id"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"), primary_key=True)
    score: Mapped[float | None]
