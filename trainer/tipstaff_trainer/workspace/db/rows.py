"""A stored row as it is read: its texts, and its effective label by one criterion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.workspace.db.models import DatabaseModel, DatasetRow, LabelSet, RowLabel


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row with its effective label; `db.models` explains the fields."""

    id: int
    dataset_id: int
    position: int
    key: str
    input: str | None
    output: str | None
    ground_truth: str | None
    weight: float
    group: str
    extra: dict[str, Any]
    part: str
    label: float | None = None
    label_source: str = ""
    selection: str = "unknown"
    disputed: bool = False
    judge_label: float | None = None
    last_label_id: int = 0


_NAMES = tuple(each.name for each in fields(StoredRow))
_LABEL_NAMES = _NAMES[_NAMES.index("label") :]
_ROW_NAMES = _NAMES[: _NAMES.index("label")]


def to_stored_row(row: DatasetRow, label: RowLabel | None = None) -> StoredRow:
    """A row with its label; `label` is None for a row that nobody has labelled."""
    values = {name: getattr(row, name) for name in _ROW_NAMES}
    if label is not None:
        values |= {name: getattr(label, name) for name in _LABEL_NAMES}
    return StoredRow(**values)


def select_rows(labels: LabelSet) -> Select[DatasetRow, RowLabel]:
    """The query of a data set's rows with their labels; the label of an unlabelled row is None."""
    return (
        select(DatasetRow, RowLabel)
        .outerjoin(RowLabel, row_label_join(labels.criterion))
        .where(DatasetRow.dataset_id == labels.dataset_id)
    )


def row_label_join(criterion: str) -> ColumnElement[bool]:
    """The SQL condition that joins a row to its label by a criterion."""
    return and_(RowLabel.row_id == DatasetRow.id, RowLabel.criterion == criterion)


def insert_all(
    session: Session,
    table: type[DatabaseModel],
    values: Sequence[Mapping[str, Any]],
    *,
    unless_there: bool = False,
) -> None:
    """Inserts rows in bulk; the ORM would be far slower, row by row.

    Args:
        session: A transaction that may write.
        table: The table.
        values: The rows.
        unless_there: Leave out rows whose key is there already.
    """
    if not values:
        return
    target = DatabaseModel.metadata.tables[table.__tablename__]
    connection = session.connection()
    statement = insert(target)
    if unless_there:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(target).on_conflict_do_nothing()
    connection.execute(statement, values)


def to_interaction(row: StoredRow | DatasetRow) -> Interaction:
    """A stored row's texts."""
    return Interaction(row.input, row.output, row.ground_truth)


def to_data_row(row: StoredRow) -> Row:
    """A stored row as training reads it; the label of an unlabelled row is NaN."""
    return Row(
        interaction=to_interaction(row),
        label=math.nan if row.label is None else row.label,
        id=row.key,
        weight=row.weight,
        group=row.group,
        label_source=row.label_source or "other",  # type: ignore[arg-type]
        selection=row.selection,  # type: ignore[arg-type]
        extra=row.extra,
        place=f"row {row.position + 1}",
    )
