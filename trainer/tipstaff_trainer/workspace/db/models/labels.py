"""What is said of rows: by people and judges, by evaluators, and who is still to be asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from tipstaff_trainer.workspace.db.models.base import Key, Table, now

_NOT_DONE = text("state <> 'done'")


class RowLabel(Table):
    """What stands of a row's labels by one criterion; there from the first of them on.

    Attributes:
        dataset_id: The row's, as is `position`: pages of rows with some label go by them.
        label: What stands (`labels.standing`); None where nothing does any more.
        label_source: Who it is from: `human`, `judge`, `other`; empty where none stands.
        selection: How the row came to be labelled.
        disputed: Whether people labelled it differently.
        judge_label: The judge's latest label; None where it gave none.
        last_label: The latest label's id: what a reviewer's label is over.
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
    last_label: Mapped[int] = mapped_column(BigInteger, default=0)


class Label(Table):
    """One label, as somebody gave it; never changed, never removed.

    Attributes:
        criterion: The name of what was judged; see `LabelSet`.
        value: In [0, 1]; None takes back the same person's labels before it.
        source: `human`, `judge` or `other`.
        who: The person, the judge's model, or the file.
        over: The latest label that whoever gave this one had seen, 0 for none.
        crossed: Whether another label had come meanwhile, which this one was not given over.
        reason: The judge's, or a person's note.
        details: What else is known, as the kind of soft label and the prompt's hash.
    """

    __tablename__ = "labels"
    __table_args__ = (
        Index("labels_row", "row_id", "id"),
        Index("labels_who", "dataset_id", "source", "who"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"))
    criterion: Mapped[str] = mapped_column(String(64), default="", server_default="")
    value: Mapped[float | None]
    source: Mapped[str] = mapped_column(String(8))
    who: Mapped[str] = mapped_column(String(200))
    selection: Mapped[str] = mapped_column(String(12), default="unknown")
    over: Mapped[int] = mapped_column(BigInteger, default=0)
    crossed: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ReviewItem(Table):
    """A row in the review queue of one criterion.

    Attributes:
        criterion: The name of what a person is to judge; see `LabelSet`.
        selection: Why a person should see it: `pilot`, `uncertain`, `disputed` or `random`.
        why: What was said of it that makes it so, in words; empty where nothing was.
        rank: Its place in the queue, the lowest first.
        state: `waiting`, `done` or `skipped`.
        holder: Who has it on their screen, and until when (`held_until`); then others may have it.
    """

    __tablename__ = "review_items"
    __table_args__ = (
        Index("review_items_place", "dataset_id", "criterion", "state", "rank"),
        Index("review_items_row", "row_id"),
        # A row is asked about once at a time; it may come again when somebody has seen it.
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
    criterion: Mapped[str] = mapped_column(String(64), default="", server_default="")
    selection: Mapped[str] = mapped_column(String(12))
    why: Mapped[str] = mapped_column(Text, default="", server_default="")
    rank: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    holder: Mapped[str] = mapped_column(String(80), default="")
    held_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RowScore(Table):
    """What a version of an evaluator says of a row, kept to choose rows for review by.

    Attributes:
        evaluator: Its name; `~` and a criterion for what the other rows' labels by that say,
            which no evaluator does.
        version: Its version; 0 where it is none.
        score: In [0, 1]; None where it reads nothing that the row has.
    """

    __tablename__ = "scores"
    __table_args__ = (Index("scores_row", "row_id"),)

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    evaluator: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    row_id: Mapped[int] = mapped_column(ForeignKey("rows.id"), primary_key=True)
    score: Mapped[float | None]
