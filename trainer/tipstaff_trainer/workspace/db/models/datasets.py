"""Data sets, their rows, and by which criteria these are judged."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, ForeignKey, Index, String, Text, and_
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tipstaff_trainer.workspace.db.models.base import Key, Table, now

if TYPE_CHECKING:
    from tipstaff_trainer.workspace.db.models.labels import Label, ReviewItem, RowLabel

# Of a data set's other columns, so many are known by name.
MOST_EXTRA = 100


class Dataset(Table):
    """Rows to be judged, by one criterion or several.

    Attributes:
        name: Unique among the data sets.
        state: `loading` until all its rows are there, then `ready`; `archived` where it is laid
            aside, `deleted` until nothing is left of it.
        file: The name of the file they came from, as its owner calls it.
        fields: The fields that its rows have: some row has a text there.
        extra: The names of its other columns, likewise; the first `MOST_EXTRA`.
        notes: What its owner should know about how the file was read.
        rows: How many there are.
        test: Rows that were split off for testing, whatever they are judged by.
        label_sets: Its labels, by criterion: at least one set, in the order they were added.
    """

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    state: Mapped[str] = mapped_column(String(8), default="ready", server_default="ready")
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


class LabelSet(Table):
    """A data set's labels by one criterion.

    Attributes:
        criterion: The name of what is judged, whatever the version; empty where nobody has said
            what the labels of a file were given by, or there is no label yet.
        labelled: The rows with a label that stands.
        human: Of those, the ones whose label is a person's.
        judge: Of those, the ones whose label is a judge's.
        good: Of those, the ones whose label is 0.5 or more.
        disputed: Rows that people labelled differently.
        dataset: Whose rows they are.
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
        """The condition that something belongs to these labels."""
        return and_(table.dataset_id == self.dataset_id, table.criterion == self.criterion)

    @property
    def title(self) -> str:
        """For people: the data set, and the criterion where it has several."""
        if len(self.dataset.label_sets) == 1:
            return self.dataset.name
        return f"{self.dataset.name}, {self.criterion or 'no criterion'}"


class Row(Table):
    """One interaction of a data set.

    Attributes:
        position: In the data set, from 0; pages go by it.
        key: The interaction's id, as given or `content_id`.
        part: `test` where it was split off for testing, else `train`.
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
