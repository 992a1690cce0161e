"""A stored row as it is read: its texts, and its effective label by one criterion."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Insert, Select, and_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.workspace.db.models import DatabaseModel, DatasetRow, LabelSet, RowLabel

Value = TypeVar("Value")


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
    statement = insertion(session, table)
    if unless_there:
        statement = statement.on_conflict_do_nothing()
    session.connection().execute(statement, values)


def execute_many(session: Session, statement: Insert, values: Sequence[Mapping[str, Any]]) -> None:
    """Runs an insertion for many rows, compiled once: a third of the time of SQLAlchemy's own way.

    Args:
        session: A transaction that may write.
        statement: The insertion, of any dialect.
        values: The rows, with all columns of the table that can't be NULL: no defaults are added.
    """
    if not values:
        return
    connection = session.connection()
    dialect, names = connection.dialect, list(values[0])
    compiled = statement.compile(dialect=dialect, column_keys=names)
    columns = statement.table.c
    converters = {
        name: convert
        for name in names
        if (convert := columns[name].type.dialect_impl(dialect).bind_processor(dialect))
    }
    rows = list(values)
    if converters:
        rows = [
            {**row, **{name: convert(row[name]) for name, convert in converters.items()}}
            for row in values
        ]
    order = compiled.positiontup
    if order is None:
        connection.exec_driver_sql(str(compiled), rows)
    else:
        parts = [tuple([row[name] for name in order]) for row in rows]
        connection.exec_driver_sql(str(compiled), parts)


def insertion(session: Session, table: type[DatabaseModel]) -> Any:
    """An INSERT in the database's own dialect, which has ON CONFLICT."""
    dialect: Any = sqlite if session.connection().dialect.name == "sqlite" else postgresql
    return dialect.insert(DatabaseModel.metadata.tables[table.__tablename__])


def batched(values: Collection[Value], size: int) -> Iterator[list[Value]]:
    """The values in parts: databases limit the values of an IN list."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


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
