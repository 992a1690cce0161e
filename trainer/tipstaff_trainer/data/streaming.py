"""Reads a file a part at a time, in memory that doesn't grow with it where its kind allows.

CSV, JSON lines and Parquet are read so; other kinds are read whole.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tipstaff.types import FIELDS, Interaction
from tipstaff_trainer.data import cells
from tipstaff_trainer.data.columns import field_of
from tipstaff_trainer.data.csv_files import CsvRows
from tipstaff_trainer.data.exports import as_export, label_studio, load_form
from tipstaff_trainer.data.json_files import SURROGATE_ESCAPE, without_surrogates
from tipstaff_trainer.data.layout import lay_out
from tipstaff_trainer.data.paths import parse_path
from tipstaff_trainer.data.reading import (
    STANDARD_INPUT,
    encoding_of,
    ending_of,
    read_table,
    with_plain_times,
)
from tipstaff_trainer.data.table import Record, Table, columns_of, unique_names
from tipstaff_trainer.errors import DataError, one_line

_LINES = (".jsonl", ".ndjson")
_CSV = (".csv", ".tsv")


def stream_tables(path: Path, rows: int) -> Iterator[Table]:
    """A file's records in tables of so many rows, the last one shorter.

    A line of CSV or JSON lines that is no row has a `problem`, and the others go on.

    Raises:
        DataError: The file can't be read, or there is no row.
    """
    ending = "" if path == STANDARD_INPUT else ending_of(path)
    parts: Iterator[Table]
    if ending in _CSV:
        parts = _csv_parts(path, rows)
    elif ending in _LINES:
        parts = _line_parts(path, rows)
    elif ending == ".parquet":
        parts = _parquet_parts(path, rows)
    else:
        table = read_table(path)
        parts = _cut(table.columns, iter(table.records), rows, table.notes)
    any_part = False
    for part in parts:
        any_part = True
        yield part
    if not any_part:
        raise DataError(f"{path}: has no rows", remedy="check how it was written")


class TextReader:
    """Reads the texts of records, by what the first of them tell.

    Args:
        first: The first records of a file.
        file: The file's name, for messages.
        mapping: From a field to a column or a path.
        form: The tool whose export it is; recognised if empty.

    Attributes:
        form: The tool whose export it is; empty for a plain table.
        columns: The column or path of each field.
        warnings: What a user should know.

    Raises:
        DataError: There is no column of texts.
    """

    def __init__(
        self, first: Table, file: str, *, mapping: Mapping[str, str] | None = None, form: str = ""
    ) -> None:
        fields = {
            role: path for role, path in (mapping or {}).items() if role in (*FIELDS, "label")
        }
        layout = lay_out(first, file, mapping={**fields, "label": ""}, labelled=False, form=form)
        table, _ = as_export(first, load_form(form) if form else None)
        self.form = table.form
        self.columns = {
            name: column for name, column in layout.columns.names.items() if name in FIELDS
        }
        self.warnings = (*layout.columns.notes, *layout.warnings)
        # Fields that the first rows lack; later ones may have them, as JSON lines may.
        self._lacking = {
            name for name in FIELDS if not self.form and name not in {*self.columns, *fields}
        }
        self._file = file

    def check(self, records: Sequence[Record]) -> None:
        """Checks that one of some records can be read.

        Raises:
            DataError: None can; it is about the first.
        """
        problem: DataError | None = None
        for record in records:
            try:
                self.read(record)
                return
            except DataError as error:
                problem = problem or error
        if problem is not None:
            raise problem

    def read(self, record: Record) -> Interaction:
        """The interaction of a record; a field without a text is None.

        Raises:
            DataError: It is no row, or a cell can't be read; names the row.
        """
        if record.problem:
            raise DataError(record.problem)
        values = record.values
        if self.form == label_studio.FORM and isinstance(values.get("data"), dict):
            values = cast("dict[str, object]", values["data"])
        for column in values if self._lacking else ():
            if (field := field_of(column)) in self._lacking:
                self.columns[field] = column
                self._lacking.discard(field)
        texts: dict[str, str | None] = {}
        for name, column in self.columns.items():
            path = None if column in values else parse_path(column, values)
            value = values.get(column) if path is None else path.read(values)
            try:
                texts[name] = cells.text(value)
            except ValueError as error:
                raise DataError(f'{record.place}, column "{column}": {error}') from None
        return Interaction(**texts)

    def read_or_reason(self, record: Record) -> Interaction | str:
        """A record's interaction; or why it can't be read, without the record's place."""
        try:
            return self.read(record)
        except DataError as error:
            return error.message.removeprefix(record.place).lstrip(",: ")


def _csv_parts(path: Path, rows: int) -> Iterator[Table]:
    with _open_text(path) as lines, _problems_of(path, lines):
        source = CsvRows(path, lines, go_on=True)
        yield from _cut(source.columns, iter(source), rows, source.notes)


def _line_parts(path: Path, rows: int) -> Iterator[Table]:
    with _open_text(path) as lines, _problems_of(path, lines):
        if _begins_with_a_row(lines):
            yield from _cut((), _line_records(path, lines), rows)
            return
    # An array, or an object of several lines; or it can't be read, which is said the same way.
    table = read_table(path)
    yield from _cut(table.columns, iter(table.records), rows, table.notes)


@contextmanager
def _problems_of(path: Path, lines: TextIO) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not {lines.encoding.removesuffix('-sig').upper()} "
            f"(byte 0x{error.object[error.start]:02x}); save the file as UTF-8 "
            '(in Excel: "CSV UTF-8")'
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: can't be uncompressed: {one_line(error)}") from None


def _begins_with_a_row(lines: TextIO) -> bool:
    first = next((line for line in lines if not line.isspace()), "{}")
    lines.seek(0)
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _line_records(path: Path, lines: TextIO) -> Iterator[Record]:
    count = 0
    for number, line in enumerate(lines, start=1):
        if line.isspace():
            continue
        count += 1
        place = f"{path}, row {count} (line {number})"
        problem = ""
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            values, problem = {}, f"{place}: not a JSON object on one line: {error}"
        if not isinstance(values, dict):
            values, problem = {}, f"{place}: is not a JSON object with named columns"
        if SURROGATE_ESCAPE.search(line):
            values = without_surrogates(values)
        yield Record(values, place, problem)


def _parquet_parts(path: Path, rows: int) -> Iterator[Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    try:
        with path.open("rb") as file:
            source = pq.ParquetFile(file)
            names, notes = unique_names(source.schema_arrow.names, path)
            for batch in source.iter_batches(batch_size=rows):
                records = []
                part = pa.Table.from_batches([batch]).rename_columns(names)
                for values in with_plain_times(part).to_pylist():
                    count += 1
                    records.append(Record(values, f"{path}, row {count}"))
                yield Table(tuple(names), records, tuple(notes))
                notes = []
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataError(f"{path}: can't be read as Parquet: {one_line(error)}") from error


def _cut(
    columns: tuple[str, ...], records: Iterator[Record], rows: int, notes: tuple[str, ...] = ()
) -> Iterator[Table]:
    """Tables of so many rows each; the first has the notes."""
    while part := list(islice(records, rows)):
        yield Table(columns or columns_of(part), part, notes)
        notes = ()


def _open_text(path: Path) -> TextIO:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or one_line(error)}") from error
    source: BinaryIO = file
    if file.peek(2)[:2] == b"\x1f\x8b":
        source = cast(BinaryIO, gzip.GzipFile(fileobj=file))
    try:
        start = source.read(4)
        source.seek(0)
    except (OSError, EOFError, zlib.error) as error:
        file.close()
        raise DataError(f"{path}: can't be uncompressed: {one_line(error)}") from None
    encoding = encoding_of(start)
    return io.TextIOWrapper(
        source, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline=""
    )
