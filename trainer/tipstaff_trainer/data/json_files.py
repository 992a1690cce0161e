"""Reads JSON: an array of objects, JSON lines, or one object that holds the rows.

One object may hold the rows by columns, `{"input": ["a", "b"], ...}`, as names and arrays,
`{"columns": [...], "data": [[...], ...]}` (W&B's tables, pandas' `split`), or as an array under one
of its names.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tipstaff_trainer.data.cells import abbreviate
from tipstaff_trainer.data.columns import TEXT_COLUMNS
from tipstaff_trainer.data.table import Record, Table, columns_of, unique_names
from tipstaff_trainer.errors import DataError

# An escaped half of a surrogate pair; the other half may be missing.
SURROGATE_ESCAPE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_SPACE = re.compile(r"\S")
_DECODER = json.JSONDecoder()
_DEEPEST = 3
_LINES = (".jsonl", ".ndjson")


def read_json(path: Path, text: str) -> Table:
    """Reads a JSON file's text.

    Half a surrogate pair, left where text was cut through an emoji, becomes U+FFFD: UTF-8 can't
    encode it.

    Raises:
        DataError: It is not JSON, or holds no rows; names the row.
    """
    notes: list[str] = []
    start = text.lstrip()[:1]
    if start == "[":
        records = _rows(path, _parse(text, f"{path}", "a JSON array of objects"))
    elif start == "{" and (whole := _whole(path, text)) is not None:
        records = list(_rows_of_object(path, whole, notes))
    else:
        records = _one_after_another(path, text) or _lines(path, text)
    for record in records:
        if not isinstance(record.values, dict):
            value = abbreviate(record.values)
            raise DataError(f"{record.place}: {value} is not a JSON object with named columns")
    if SURROGATE_ESCAPE.search(text):
        mended = [Record(without_surrogates(record.values), record.place) for record in records]
        if cut := [old.place for old, new in zip(records, mended, strict=True) if old != new]:
            notes.append(
                f"{path}: half a surrogate pair (a cut emoji) became U+FFFD in {len(cut)} of "
                f"{len(records)} rows; the first is {cut[0]}"
            )
        records = mended
    return Table(columns_of(records), records, tuple(notes))


def _lines(path: Path, text: str) -> list[Record]:
    records: list[Record] = []
    # Split at line feeds only: JSON may contain Unicode's other line ends unescaped.
    for number, line in enumerate(io.StringIO(text), start=1):
        if not line.isspace():
            place = f"{path}, row {len(records) + 1} (line {number})"
            item = _parse(line.rstrip(), place, "a JSON object on one line")
            records.append(Record(item, place))
    return records


def _one_after_another(path: Path, text: str) -> list[Record]:
    """Objects that take several lines each, or share one, as jq writes them; none if others do."""
    first = text.lstrip().partition("\n")[0]
    with suppress(ValueError, RecursionError):
        json.loads(first)
        return []
    records: list[Record] = []
    position = 0
    while match := _NOT_SPACE.search(text, position):
        try:
            value, position = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            return []
        place = f"{path}, row {len(records) + 1}"
        records.append(Record(value, place))
    return records if all(isinstance(each.values, dict) for each in records) else []


def _whole(path: Path, text: str) -> dict[str, Any] | None:
    """The one object that a text is; None for JSON lines."""
    first, _, rest = text.strip().partition("\n")
    if not rest and Path(path.name.removesuffix(".gz")).suffix.casefold() in _LINES:
        return None
    # A first line that is whole is a line of its own: the text isn't parsed twice.
    if rest:
        with suppress(ValueError, RecursionError):
            json.loads(first)
            return None
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return whole if isinstance(whole, dict) else None


def _rows_of_object(path: Path, whole: dict[str, Any], notes: list[str]) -> Iterator[Record]:
    columns, data = whole.get("columns"), whole.get("data")
    if isinstance(columns, list) and isinstance(data, list):
        unique, repeated = unique_names(list(map(str, columns)), path)
        notes += repeated
        for number, cells in enumerate(data, start=1):
            place = f"{path}, row {number}"
            if not isinstance(cells, list) or len(cells) != len(columns):
                raise DataError(f"{place}: has not one cell for each of its {len(columns)} columns")
            yield Record(dict(zip(unique, cells, strict=True)), place)
        return
    by_column = _by_column(whole)
    if by_column is not None:
        keys = next(iter(by_column.values())).keys()
        notes.append(f"{path}: read by columns, {len(keys)} rows")
        for number, key in enumerate(keys, start=1):
            values = {name: cells[key] for name, cells in by_column.items()}
            yield Record(values, f"{path}, row {number}")
        return
    if whole and all(_is_row(each) for each in whole.values()):
        notes.append(f"{path}: read {len(whole)} rows by their ids")
        for number, (key, values) in enumerate(whole.items(), start=1):
            yield Record({"id": key, **values}, f"{path}, row {number}")
        return
    # A row may hold arrays of its own.
    is_row = any(isinstance(whole.get(name), str) for name in TEXT_COLUMNS)
    held = {} if is_row else _arrays(whole)
    if len(held) == 1:
        ((name, rows),) = held.items()
        notes.append(f'{path}: read the {len(rows)} rows under "{name}"')
        yield from _rows(path, rows)
        return
    if len(held) > 1:
        names = ", ".join(f'"{name}"' for name in held)
        raise DataError(
            f"{path}: rows could be under each of {names}",
            remedy="write one of these arrays into a file of its own",
        )
    yield Record(whole, f"{path}, row 1")


def _is_row(value: object) -> bool:
    return isinstance(value, dict) and any(name in value for name in TEXT_COLUMNS)


def _by_column(whole: Mapping[str, Any]) -> dict[str, dict[Any, Any]] | None:
    """Cells by column and row; None if the object doesn't hold its rows so."""
    if not whole or not all(isinstance(cells, (list, dict)) for cells in whole.values()):
        return None
    columns = {
        name: dict(enumerate(cells)) if isinstance(cells, list) else cells
        for name, cells in whole.items()
    }
    keys = list(next(iter(columns.values())))
    if len(columns) < 2 or not keys or any(list(cells) != keys for cells in columns.values()):
        return None
    # Objects whose keys are names rather than numbers of rows are a row's objects.
    if not all(str(key).isdecimal() for key in keys):
        return None
    return columns


def _arrays(whole: Mapping[str, Any], depth: int = 1) -> dict[str, list[Any]]:
    """The arrays of objects in an object and the objects in it, by path."""
    found: dict[str, list[Any]] = {}
    for name, value in whole.items():
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            found[name] = value
        elif isinstance(value, dict) and depth < _DEEPEST:
            deeper = _arrays(value, depth + 1)
            found |= {f"{name}.{inner}": rows for inner, rows in deeper.items()}
    # A list of messages belongs to one row.
    rows = {name: each for name, each in found.items() if not all("role" in row for row in each)}
    # Rows of tools have this name, beside lists of what was asked.
    named = {name: each for name, each in rows.items() if name.rpartition(".")[2] in _ROW_NAMES}
    return named if len(named) == 1 else rows


_ROW_NAMES = ("results", "testCases", "test_cases", "data", "rows", "records", "traces", "examples")


def _rows(path: Path, array: list[Any]) -> list[Record]:
    return [Record(item, f"{path}, row {row}") for row, item in enumerate(array, start=1)]


def _parse(text: str, place: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        within = f"line {error.lineno}, " if error.lineno > 1 else ""
        reason = f"{error.msg.removesuffix(' at')} at {within}character {error.colno}"
        raise DataError(f"{place}: not {expected}: {reason}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not {expected}: {error}") from None


def without_surrogates(value: object) -> Any:
    """A JSON value with U+FFFD for each half of a surrogate pair."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {without_surrogates(name): without_surrogates(v) for name, v in value.items()}
    return value
