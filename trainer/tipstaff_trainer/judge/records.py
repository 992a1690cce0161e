"""A row as one object of a JSON lines file that `tipstaff train` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tipstaff.types import FIELDS
from tipstaff_trainer.data import Row, read_rows

_DIGITS = 6


def row_record(row: Row, **columns: Any) -> dict[str, Any]:
    """A row's columns, its `extra` ones last.

    Args:
        row: The row.
        columns: Further ones; they stand in place of the row's own.
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


def reviewed_since(file: Path, rows: Iterable[Row]) -> int:
    """How many labels of people a file of such objects has that the rows it was made of don't.

    Raises:
        DataError: It is no such file any more.
    """
    people = {row.id: row.label for row in rows if row.label_source == "human"}
    found = read_rows(file, labelled=False).whole
    return sum(
        row.labelled and row.label_source == "human" and people.get(row.id) != row.label
        for row in found
    )


def rounded(label: float | None) -> float | None:
    """A label without the digits that nobody has measured."""
    return None if label is None else round(label, _DIGITS)


def number_in(extra: Mapping[str, str], column: str) -> float | None:
    """A probability from one of a row's further columns; None where there is none.

    Raises:
        ValueError: There is something else.
    """
    text = extra.get(column, "").strip()
    if not text:
        return None
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(f"{text} is not in [0, 1]")
    return number
