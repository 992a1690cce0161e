r"""Reads CSV: with commas, semicolons, tabs or bars between the cells.

The names of the columns say what is between them, or a first line such as `sep=;`, which
spreadsheets write. `\r\n`, quotes and line breaks within them are as in RFC 4180.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from tipstaff_trainer.data.columns import PART_OF
from tipstaff_trainer.data.table import HEADER_ROWS, Record, Table, header_index, unique_names
from tipstaff_trainer.errors import DataError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE = re.compile(r'^"?sep=(.)"?\r?\n', re.IGNORECASE)
# Columns that only Tipstaff's own downloads have together, whose cells are escaped.
OWN_COLUMNS = frozenset(("id", "label_source", "selection", "judge_label", "split"))
# The columns that are added to a scored file, whose cells are escaped too.
SCORE_COLUMNS = ("score", "verdict", "reasons")
# A spreadsheet takes such a text for a formula, or for a number or a date and alters it.
_FORMULA = re.compile(r"^[=+\-@\t\r']")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_ALTERED = re.compile(
    r"^(?:[\d.+-]|true$|false$|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-/. ]?\d)",
    re.IGNORECASE,
)
_MARK = "'"
# No names of columns are longer, together.
_HEADER = 100_000


class CsvRows:
    """The rows of a CSV file, read one at a time.

    An empty cell counts as absent, since CSV has no other way to mark it.

    Args:
        path: The file, for messages.
        lines: Its text, opened with `newline=""`.
        go_on: Whether to go on after rows that have too many or too few cells, which then have a
            `Record.problem`.

    Attributes:
        columns: The columns' names.
        notes: What a user should know.

    Raises:
        DataError: Two columns have the same name, or the quotes don't match.
    """

    def __init__(self, path: Path, lines: TextIO, *, go_on: bool = False) -> None:
        self._path = path
        self._go_on = go_on
        head = lines.readline()
        self._first_line = 1
        separator = ""
        if match := _SEP_LINE.match(head):
            separator, head, self._first_line = match[1], lines.readline(), 2
        while head and not head.strip():
            head, self._first_line = lines.readline(), self._first_line + 1
        begin = [head, *islice(lines, HEADER_ROWS - 1)] if head else []
        titles = header_index([_split(path, line, separator) for line in begin])
        self._first_line += titles
        self._separator = separator or _separator(path, begin[titles] if begin else "")
        rest = chain(begin[titles:], lines)
        self._reader = csv.reader(
            rest,
            strict=True,
            delimiter=self._separator,
            skipinitialspace=bool(begin) and _has_spaces(begin[titles], self._separator),
        )
        self._count = 0
        self._line = self._first_line
        names = [cell.strip() for cell in next(self._cells(), ((), 0))[0]]
        self._header, notes = unique_names(names, path)
        self.columns = tuple(name for name in self._header if name)
        # With several criteria, a label's columns are named as `toxicity.label_source`.
        own = {name.rpartition(PART_OF)[2].removeprefix("tipstaff_") for name in self.columns}
        self._own = own.issuperset(OWN_COLUMNS) or own.issuperset(SCORE_COLUMNS)
        if titles:
            verb = "line is" if titles == 1 else "lines are"
            notes.append(f"{path}: {titles} {verb} not read, above the names of the columns")
        if unnamed := len(self._header) - len(self.columns):
            notes.append(
                f"{path}: left out {unnamed} of {len(self._header)} columns, without a name in the "
                "header"
            )
        self.notes = tuple(notes)

    def __iter__(self) -> Iterator[Record]:
        header = self._header
        for cells, line in self._cells():
            place = f"{self._path}, row {self._count + 1} (line {line})"
            problem = ""
            if len(cells) > len(header) and not any(cells[len(header) :]):
                # Spreadsheets write such for columns that were once used.
                cells = cells[: len(header)]
            if len(cells) != len(header):
                sign = _SEPARATORS.get(self._separator, self._separator).removesuffix("s")
                problem = (
                    f"{place}: has {len(cells)} cells and the header has {len(header)}; put cells "
                    f"that contain a {sign} in double quotes, with no space before them"
                )
                if not self._go_on:
                    raise DataError(problem)
            values = {name: cell or None for name, cell in zip(header, cells, strict=False) if name}
            self._count += 1
            yield Record(_unescaped(values) if self._own else values, place, problem)

    def _cells(self) -> Iterator[tuple[list[str], int]]:
        """The cells of each row that is not blank, and the line that it begins on."""
        limit = csv.field_size_limit(sys.maxsize)
        try:
            for cells in self._reader:
                start, self._line = self._line, self._reader.line_num + self._first_line
                if cells:
                    yield cells, start
        except csv.Error as error:
            raise DataError(
                f"{self._path}, row {self._count + 1} (line {self._line}): the quotes don't match "
                f"({error}); a cell in double quotes ends with one, and a double quote inside it "
                'is written ""'
            ) from None
        finally:
            csv.field_size_limit(limit)


def read_csv(path: Path, text: str) -> Table:
    """Reads a CSV file's text.

    Raises:
        DataError: The quotes or the number of cells in a row are off; names the row.
    """
    rows = CsvRows(path, io.StringIO(text, newline=""))
    return Table(rows.columns, list(rows), rows.notes)


def escaped(column: str, value: object) -> object:
    """A cell as a spreadsheet opens it rightly: ids stay as they are, and no text is a formula."""
    if not isinstance(value, str) or not value:
        return value
    altered = column in ("id", "group") and _ALTERED.match(value)
    formula = _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return _MARK + value if altered or formula else value


def _unescaped(values: Mapping[str, object]) -> dict[str, object]:
    def plain(column: str, value: object) -> object:
        if isinstance(value, str) and value.startswith(_MARK):
            rest = value[1:]
            # Older files have the mark before negative numbers too.
            if escaped(column, rest) == value or _FORMULA.match(rest):
                return rest
        return value

    return {column: plain(column, value) for column, value in values.items()}


def _separator(path: Path, text: str) -> str:
    """What is between the cells, by the line of the columns' names."""
    if path.suffix.casefold() in (".tsv", ".tab"):
        return "\t"
    header = _without_quoted(text[:_HEADER])
    counts = {separator: header.count(separator) for separator in _SEPARATORS}
    return max(counts, key=lambda separator: counts[separator]) if any(counts.values()) else ","


def _split(path: Path, line: str, separator: str) -> list[str]:
    """The cells of one line, as far as it holds whole cells; of a long one, the first."""
    cells = csv.reader([line[:_HEADER]], delimiter=separator or _separator(path, line))
    return [cell.strip() for cell in next(cells, [])]


def _has_spaces(names: str, separator: str) -> bool:
    """Whether there is a space after each separator, as in `input, output, label`."""
    _, *rest = _without_quoted(names).split(separator)
    return bool(rest) and all(name[:1] == " " for name in rest)


def _without_quoted(line: str) -> str:
    return re.sub(r'"(?:[^"]|"")*"', "", line)
