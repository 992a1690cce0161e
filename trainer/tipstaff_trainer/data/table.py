"""Records of a file, its cells not yet parsed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tipstaff.types import FIELDS
from tipstaff_trainer.data.columns import ROLES, Role, known_as
from tipstaff_trainer.errors import DataError

# Titles may stand above the columns' names in so many rows.
HEADER_ROWS = 10
_TOLD_BY: tuple[Role, ...] = (*FIELDS, "label")


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file, its cells not yet parsed.

    Attributes:
        values: Cells by column name, without the absent ones.
        place: As in `train.csv, row 12 (line 13)`. Rows count from 1, without the header.
        problem: Why it can't be read as a row, where a reader goes on after such rows.
    """

    values: Mapping[str, object]
    place: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A file's records and column names.

    Attributes:
        columns: The columns' names.
        records: The rows.
        notes: What a user should know of how the file was read.
        form: The tool's name whose export it is; empty for a plain table.
        mapping: Where the form has each role: from a role to a column or a path.
        labels: The columns that could each be the label, where the form names its labels.
    """

    columns: tuple[str, ...]
    records: Sequence[Record]
    notes: tuple[str, ...] = ()
    form: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def columns_of(records: Sequence[Record]) -> tuple[str, ...]:
    """All columns that some record has, in the order of their first appearance."""
    return tuple(dict.fromkeys(name for record in records for name in record.values))


def header_index(rows: Sequence[Sequence[str]]) -> int:
    """Which of a file's first rows names the columns: the first, unless titles stand above.

    Titles have fewer cells than the names, and none that is known for a field; of the names, two
    are known.
    """
    filled = [[cell for cell in row if cell.strip()] for row in rows]
    for index, cells in enumerate(filled):
        known = [cell for cell in cells if any(known_as(cell, role) for role in _TOLD_BY)]
        if len(known) > 1 and all(len(above) < len(cells) for above in filled[:index]):
            return index
        if known:
            return 0
    return 0


def unique_names(names: Sequence[str], path: Path) -> tuple[list[str], list[str]]:
    """A header's names, a repeated one with its number, as `notes (2)`.

    Returns:
        The names, empty ones as they are; and notes for the user.

    Raises:
        DataError: A repeated name is known for a role, so that either could be meant.
    """
    counts: Counter[str] = Counter()
    second: dict[str, str] = {}
    result: list[str] = []
    for name in names:
        counts[name] += bool(name)
        number, unique = counts[name], name
        # The file may have a `notes (2)` of its own.
        while number > 1 and (unique := f"{name} ({number})") in {*names, *result}:
            number += 1
        if counts[name] == 2:
            second[name] = unique
        result.append(unique)
    repeated = [name for name, count in counts.items() if count > 1]
    for name in repeated:
        if any(known_as(name, role) for role in ROLES):
            raise DataError(f'{path}: two columns are named "{name[:40]}"; rename one')
    return result, [
        f'{path}: {counts[name]} columns are named "{name[:40]}"; the second is called '
        f'"{second[name][:44]}" here'
        for name in repeated
    ]
