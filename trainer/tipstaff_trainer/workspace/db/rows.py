"""A stored row as it is read: its texts, and what stands of its labels by one criterion."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, and_

from tipstaff.types import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.workspace.db.models import DatasetRow, RowLabel


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row beside its label; `db.models.DatasetRow` and `tables.RowLabel` explain the fields."""

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
_OF_LABEL = _NAMES[_NAMES.index("label") :]
_OF_ROW = _NAMES[: _NAMES.index("label")]


def stored(row: DatasetRow, label: RowLabel | None = None) -> StoredRow:
    """A row beside what stands of its labels; nothing does where that is None."""
    values = {name: getattr(row, name) for name in _OF_ROW}
    if label is not None:
        values |= {name: getattr(label, name) for name in _OF_LABEL}
    return StoredRow(**values)


def labelled_by(criterion: str) -> ColumnElement[bool]:
    """What joins a row to what stands of its labels by a criterion."""
    return and_(RowLabel.row_id == DatasetRow.id, RowLabel.criterion == criterion)


def interaction_of(row: StoredRow | DatasetRow) -> Interaction:
    """A stored row's texts."""
    return Interaction(row.input, row.output, row.ground_truth)


def as_labelled(row: StoredRow) -> Row:
    """A stored row as training takes it; NaN is its label where none stands."""
    return Row(
        interaction=interaction_of(row),
        label=math.nan if row.label is None else row.label,
        id=row.key,
        weight=row.weight,
        group=row.group,
        label_source=row.label_source or "other",  # type: ignore[arg-type]
        selection=row.selection,  # type: ignore[arg-type]
        extra=row.extra,
        place=f"row {row.position + 1}",
    )
