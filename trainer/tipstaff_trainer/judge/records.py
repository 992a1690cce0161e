"""Rows as objects of a JSON lines file that `tipstaff train` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tipstaff.types import FIELDS
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import DataError

_DIGITS = 6


def row_record(row: Row, **columns: Any) -> dict[str, Any]:
    """A row's columns as one object, its `extra` columns last.

    Args:
        row: The row.
        columns: Further columns; they replace the row's own.
    """
    own: dict[str, Any] = {
        "id": row.id,
        **{name: row.interaction.get(name) for name in FIELDS},
        "label": rounded(row.label) if row.labelled else None,
        "label_source": row.label_source,
        "selection": row.selection,
        "weight": row.weight,
    }
    if row.group:
        own["group"] = row.group
    own |= columns
    return own | {name: text for name, text in row.extra.items() if name not in own}


def json_line(record: Mapping[str, Any]) -> str:
    """A record as a line of a JSON lines file."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def rounded(label: float | None) -> float | None:
    """A label without meaningless digits."""
    return None if label is None else round(label, _DIGITS)


def number_in(row: Row, column: str) -> float:
    """A probability from one of a row's further columns; NaN if the column is empty.

    Raises:
        DataError: The column holds something else.
    """
    text = row.extra.get(column, "").strip()
    try:
        number = float(text or "nan")
    except ValueError as error:
        raise DataError(f'{row.place}, column "{column}": {error}') from None
    if text and not 0 <= number <= 1:
        raise DataError(f'{row.place}, column "{column}": {text} is not in [0, 1]')
    return number
