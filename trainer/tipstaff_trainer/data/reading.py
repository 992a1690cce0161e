"""Reads CSV, JSON lines and Parquet as records: named cells and their place in the file."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tipstaff_trainer.data.cells import abbreviate
from tipstaff_trainer.errors import DataError, one_line

# An escaped half of a surrogate pair; the other half may be missing.
_SURROGATE_ESCAPE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file, its cells not yet parsed.

    Attributes:
        values: Cells by column name, without the absent ones.
        place: As in `train.csv, row 12 (line 13)`. Rows count from 1, without the header.
    """

    values: Mapping[str, object]
    place: str


@dataclass(frozen=True, slots=True)
class Table:
    """A file's records and column names, with notes for the user."""

    columns: tuple[str, ...]
    records: Sequence[Record]
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Reads a file by its extension: .csv, .jsonl, .ndjson, .json or .parquet.

    Text is UTF-8, with or without a byte order mark. An empty CSV cell counts as absent, since CSV
    has no other way to mark it. A .json file holds one array of objects, or JSON lines. Half a
    surrogate pair, left where text was cut through an emoji, becomes U+FFFD: UTF-8 can't encode it.

    Raises:
        DataError: The file, or a row of it, can't be read, or there is no row.
    """
    read = _READERS.get(path.suffix.casefold())
    if read is None:
        formats = ", ".join(_READERS)
        raise DataError(f"{path}: is none of {formats}", remedy="convert it to one of them")
    try:
        table = read(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder", remedy="give one file") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or one_line(error)}") from error
    if not table.records:
        raise DataError(f"{path}: has no rows", remedy="check how it was written")
    return table


def _read_csv(path: Path) -> Table:
    lines = io.StringIO(_text_of(path), newline="")
    header: list[str] = []
    records: list[Record] = []
    line = 1
    limit = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(lines, strict=True)
        for cells in reader:
            start, line = line, reader.line_num + 1
            if not cells:
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                _check_header(header, path)
                continue
            place = f"{path}, row {len(records) + 1} (line {start})"
            if len(cells) != len(header):
                raise DataError(
                    f"{place}: has {len(cells)} cells and the header has {len(header)}; put cells "
                    "that contain a comma in double quotes, with no space before them"
                )
            values = {name: cell or None for name, cell in zip(header, cells, strict=True) if name}
            records.append(Record(values, place))
    except csv.Error as error:
        raise DataError(
            f"{path}, row {len(records) + 1} (line {line}): the quotes don't match ({error}); a "
            'cell in double quotes ends with one, and a double quote inside it is written ""'
        ) from None
    finally:
        csv.field_size_limit(limit)
    names = tuple(name for name in header if name)
    unnamed = len(header) - len(names)
    note = f"{path}: left out {unnamed} of {len(header)} columns, without a name in the header"
    return Table(names, records, (note,) if unnamed else ())


def _check_header(names: Sequence[str], path: Path) -> None:
    for delimiter, plural in _OTHER_DELIMITERS.items():
        if len(names) == 1 and delimiter in names[0]:
            raise DataError(f"{path}: its cells are separated by {plural}; save it with commas")
    _check_unique([name for name in names if name], path)


def _read_json(path: Path) -> Table:
    text = _text_of(path)
    records: list[Record] = []
    if text.lstrip()[:1] == "[":
        array = _parse(text, f"{path}", "a JSON array of objects")
        records = [Record(item, f"{path}, row {row}") for row, item in enumerate(array, start=1)]
    else:
        # Split at line feeds only: JSON may contain Unicode's other line ends unescaped.
        for number, line in enumerate(io.StringIO(text), start=1):
            if not line.isspace():
                place = f"{path}, row {len(records) + 1} (line {number})"
                try:
                    item = _parse(line.rstrip(), place, "a JSON object on one line")
                except DataError as error:
                    raise DataError(f"{error}{_hint(text)}") from None
                records.append(Record(item, place))
    for record in records:
        if not isinstance(record.values, dict):
            value = abbreviate(record.values)
            raise DataError(f"{record.place}: {value} is not a JSON object with named columns")
    notes = []
    if _SURROGATE_ESCAPE.search(text):
        whole = [Record(_without_surrogates(record.values), record.place) for record in records]
        if cut := [old.place for old, new in zip(records, whole, strict=True) if old != new]:
            notes.append(
                f"{path}: half a surrogate pair (a cut emoji) became U+FFFD in {len(cut)} of "
                f"{len(records)} rows; the first is {cut[0]}"
            )
        records = whole
    columns = tuple(dict.fromkeys(name for record in records for name in record.values))
    return Table(columns, records, tuple(notes))


def _parse(text: str, place: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        within = f"line {error.lineno}, " if error.lineno > 1 else ""
        reason = f"{error.msg.removesuffix(' at')} at {within}character {error.colno}"
        raise DataError(f"{place}: not {expected}: {reason}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not {expected}: {error}") from None


def _hint(text: str) -> str:
    """The remedy where the lines are parts of one pretty-printed object."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(whole, dict):
        return ""
    remedy = "write each row as an object on one line, or all rows as one array"
    for name, value in whole.items():
        if isinstance(value, list):
            remedy = f"give the array under {abbreviate(name)} itself, as [{{…}}, {{…}}]"
            break
    return f"; the file is one object over several lines: {remedy}"


def _without_surrogates(value: object) -> Any:
    """A JSON value with U+FFFD for each half of a surrogate pair."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(v) for name, v in value.items()}
    return value


def _read_parquet(path: Path) -> Table:
    # Imported late: it takes a while, and CSV and JSON lines don't need it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            table = pq.ParquetFile(file).read()
        _check_unique(table.column_names, path)
        for index, field in enumerate(table.schema):
            # Python's datetime has no nanoseconds, which pandas writes by default.
            if pa.types.is_temporal(field.type):
                plain = pa.int64() if pa.types.is_duration(field.type) else pa.string()
                table = table.set_column(index, field.name, table.column(index).cast(plain))
        rows = table.to_pylist()
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path}: can't be read as Parquet: {one_line(error)}") from error
    records = [Record(values, f"{path}, row {row}") for row, values in enumerate(rows, start=1)]
    return Table(tuple(table.column_names), records)


def _text_of(path: Path) -> str:
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        raise DataError(f"{path}: is UTF-16; save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x}); save the file as "
            'UTF-8 (in Excel: "CSV UTF-8")'
        ) from None


def _check_unique(names: Sequence[str], path: Path) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f'{path}: two columns are named "{name[:40]}"; rename one')


_READERS = {
    ".csv": _read_csv,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
