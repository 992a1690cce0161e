"""Data sets, their rows, and their label sets."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, ForeignKey, Index, String, Text, and_
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tipstaff_trainer.workspace.db.models.base import DatabaseModel, Key, now

if TYPE_CHECKING:
    from tipstaff_trainer.workspace.db.models.labels import Label, ReviewItem, RowLabel

# How many names of other columns a data set remembers.
MOST_EXTRA = 100


class Dataset(DatabaseModel):
    """Rows to be judged by one or more criteria.

    Attributes:
        name: Unique among the data sets.
        state: `loading` while rows are inserted, then `ready`; `archived` on request; `deleted`
            while its rows are being removed.
        file: The name of the file the rows came from, as its owner knows it.
        fields: The fields that at least one row has a text in.
        extra: The names of other columns that have a text, at most `MOST_EXTRA` of them.
        notes: Notes about how the file was read.
        rows: The number of rows.
        test: The number of rows held out for testing, by all criteria.
        label_sets: The labels, one set for each criterion, oldest first; there is at least one.
    """

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    state: Mapped[str] = mapped_column(String(8), default="ready")
    file: Mapped[str] = mapped_column(String(200), default="")
    fields: Mapped[list[str]]
    extra: Mapped[list[str]]
    notes: Mapped[list[str]] = mapped_column(default=list)
    rows: Mapped[int] = mapped_column(default=0)
    test: Mapped[int] = mapped_column(default=0)
    author: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    label_sets: Mapped[list[LabelSet]] = relationship(
        viewonly=True, lazy="selectin", order_by="LabelSet.created_at, LabelSet.criterion"
    )

    def __repr__(self) -> str:
        labels = ", ".join(
            f"{each.labelled} labelled{f' by {each.criterion}' if each.criterion else ''}"
            for each in self.label_sets
        )
        return f"Dataset(id={self.id}, name={self.name!r}, {self.rows} rows, {labels})"


class LabelSet(DatabaseModel):
    """A data set's labels by one criterion.

    Attributes:
        criterion: The criterion's name, without a version. Empty while no criterion is set, as
            for a file whose labels came without one.
        labelled: Rows with an effective label.
        human: Labelled rows whose effective label is from people.
        judge: Labelled rows whose effective label is from a judge.
        good: Labelled rows whose effective label is 0.5 or more.
        disputed: Rows that people labelled differently.
        dataset: The data set.
    """

    __tablename__ = "label_sets"

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), primary_key=True)
    criterion: Mapped[str] = mapped_column(String(64), primary_key=True)
    labelled: Mapped[int] = mapped_column(default=0)
    human: Mapped[int] = mapped_column(default=0)
    judge: Mapped[int] = mapped_column(default=0)
    good: Mapped[int] = mapped_column(default=0)
    disputed: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    dataset: Mapped[Dataset] = relationship(viewonly=True, lazy="joined")

    def of(self, table: type[Label | ReviewItem | RowLabel]) -> ColumnElement[bool]:
        """The SQL condition that a table's row belongs to this label set."""
        return and_(table.dataset_id == self.dataset_id, table.criterion == self.criterion)

    @property
    def title(self) -> str:
        """The data set's name, with the criterion if there are several."""
        if len(self.dataset.label_sets) == 1:
            return self.dataset.name
        return f"{self.dataset.name}, {self.criterion or 'no criterion'}"


class DatasetRow(DatabaseModel):
    """One interaction of a data set.

    Attributes:
        position: The row's place in the data set, from 0; pages are ordered by it.
        key: The interaction's id, from the file or `content_id`.
        part: `test` for rows held out for testing, else `train`.
    """

    __tablename__ = "rows"
    __table_args__ = (
        Index("rows_position", "dataset_id", "position", unique=True),
        Index("rows_key", "dataset_id", "key", unique=True),
        Index("rows_part", "dataset_id", "part", "position"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    position: Mapped[int]
    key: Mapped[str] = mapped_column(Text)
    input: Mapped[str | None] = mapped_column(Text)
    output: Mapped[str | None] = mapped_column(Text)
    ground_truth: Mapped[str | None] = mapped_column(Text)
    weight: Mapped[float] = mapped_column(default=1.0)
    group: Mapped[str] = mapped_column("row_group", Text, default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)
    part: Mapped[str] = mapped_column(String(8), default="train")
