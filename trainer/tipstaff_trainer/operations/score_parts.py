"""Part files of a scored file: written one a shard, kept until the output is whole.

Each is JSON lines: a summary of the part, then its rows. The output is joined from them.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tipstaff_trainer.data.cells import anything, jsonable
from tipstaff_trainer.data.csv_files import SCORE_COLUMNS, escaped
from tipstaff_trainer.data.table import Record
from tipstaff_trainer.data.writing import whole_file
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.score_shard import ScoredRow

# Begins the reasons of a row whose texts can't be read.
UNREADABLE = "unreadable: "


@dataclass(slots=True)
class Summary:
    """What the rows of one part, or of all, have in common.

    Attributes:
        columns: The rows' own columns, in the order of their first appearance.
        verdicts: How many rows have each verdict; the empty one counts rows without a score.
        unreadable: How many rows have a cell that can't be read, or are no row at all.
        example: The place of the first of them, and the reason.
        scorers: Which evaluators scored the rows, where a server tells.
    """

    columns: list[str] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0
    example: str = ""
    scorers: list[str] = field(default_factory=list)

    def add(self, other: Summary) -> None:
        """Adds that of a further part."""
        self.columns = list(dict.fromkeys([*self.columns, *other.columns]))
        self.verdicts = dict(Counter(self.verdicts) + Counter(other.verdicts))
        self.unreadable += other.unreadable
        self.example = self.example or other.example
        self.scorers = list(dict.fromkeys([*self.scorers, *other.scorers]))


def new_columns(columns: Sequence[str]) -> list[str]:
    """The names of the columns that are added; others where the file has such a column."""
    return [f"tipstaff_{name}" if name in columns else name for name in SCORE_COLUMNS]


def write_part(
    path: Path, records: Sequence[Record], scored: Sequence[ScoredRow], added: Sequence[str]
) -> None:
    """Writes one part.

    Args:
        path: The part's file.
        records: The rows as they were read.
        scored: What to write beside each.
        added: The names of the columns for it (`new_columns`).

    Raises:
        DataError: The file can't be written.
    """
    columns: dict[str, None] = {}
    lines = []
    for record, row in zip(records, scored, strict=True):
        # A later row may have such a column where the first rows have none.
        values = {f"own_{key}" if key in added else key: v for key, v in record.values.items()}
        columns |= dict.fromkeys(values)
        values |= zip(added, (row.score, row.verdict, row.reasons), strict=True)
        lines.append(_line(values))
    unreadable = [
        f"{record.place}: {row.reasons.removeprefix(UNREADABLE)}"
        for record, row in zip(records, scored, strict=True)
        if row.reasons.startswith(UNREADABLE)
    ]
    summary = Summary(
        columns=list(columns),
        verdicts=dict(Counter(row.verdict for row in scored)),
        unreadable=len(unreadable),
        example=next(iter(unreadable), ""),
        scorers=list(dict.fromkeys(row.scorer for row in scored if row.scorer)),
    )
    try:
        with whole_file(path) as file:
            file.writelines([_line(asdict(summary)), *lines])
    except OSError as error:
        raise _not_written(error, path.parent) from error


def join_parts(parts: Sequence[Path], added: Sequence[str], out: Path) -> Summary:
    """Writes the output from its parts.

    Args:
        parts: The parts' files.
        added: The names of the columns that were added, which come last in a table.
        out: The output, .csv or JSON lines.

    Returns:
        The summary of all rows.

    Raises:
        DataError: The output can't be written; the parts stay.
    """
    total = Summary()
    try:
        for part in parts:
            with part.open("rb") as file:
                values = json.loads(file.readline())
            total.add(Summary(**values))
        with whole_file(out) as file:
            if out.suffix == ".csv":
                file.writelines(_table(parts, [*total.columns, *added]))
            else:
                file.writelines(line for part in parts for line in _rows(part))
    except OSError as error:
        raise _not_written(error, out) from error
    return total


def _rows(part: Path) -> Iterator[bytes]:
    with part.open("rb") as file:
        file.readline()
        yield from file


def _table(parts: Iterable[Path], columns: Sequence[str]) -> Iterator[bytes]:
    """The lines of a CSV file that spreadsheets open rightly."""
    yield codecs.BOM_UTF8 + _cells(columns)
    for part in parts:
        for line in _rows(part):
            values = json.loads(line)
            yield _cells([_cell(values.get(name)) for name in columns])


def _cell(value: object) -> object:
    # Ids stay as they are, for whoever joins the file with another.
    return value if isinstance(value, float) else escaped("", anything(value))


def _cells(cells: Sequence[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "replace")


def _line(values: Mapping[str, Any]) -> bytes:
    line = json.dumps(jsonable(values), ensure_ascii=False, allow_nan=False, default=str)
    return line.encode("utf-8", "replace") + b"\n"


def _not_written(error: OSError, where: Path) -> DataError:
    return DataError(
        f"can't be written: {error.strerror}; what was scored is kept",
        field="out",
        value=str(where),
        remedy="make room, and run it again",
    )
