"""Reads a file as records: named cells and their place in the file.

By the file's ending: CSV, TSV, JSON, JSON lines, Parquet, XLSX, each perhaps compressed by gzip.
`-` is standard input, whose kind is told from its content.
"""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tipstaff_trainer.data.csv_files import read_csv
from tipstaff_trainer.data.json_files import read_json
from tipstaff_trainer.data.table import HEADER_ROWS, Record, Table, header_index, unique_names
from tipstaff_trainer.errors import DataError, one_line

STANDARD_INPUT = Path("-")
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_table(path: Path, *, display_name: str = "") -> Table:
    """Reads a file by its ending.

    Text is UTF-8, with or without a byte order mark, or UTF-16.

    Args:
        path: The file.
        display_name: Its name in messages and places, where its owner knows it by another.

    Raises:
        DataError: The file, or a row of it, can't be read, or there is no row.
    """
    read = _reader(path)
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder", remedy="give one file") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or one_line(error)}") from error
    shown = Path(display_name) if display_name else path
    table = read(shown, _unzipped(shown, content))
    if not table.records:
        raise DataError(f"{shown}: has no rows", remedy="check how it was written")
    return table


def ending_of(path: Path) -> str:
    """A file's ending without `.gz`, in lower case."""
    return Path(path.name.removesuffix(".gz")).suffix.casefold()


def with_plain_times(table: Any) -> Any:
    """An Arrow table whose dates and times are texts, and whose durations are numbers.

    Python's datetime has no nanoseconds, which pandas writes by default.
    """
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type):
            plain = pa.int64() if pa.types.is_duration(field.type) else pa.string()
            table = table.set_column(index, field.name, table.column(index).cast(plain))
    return table


def _reader(path: Path) -> Callable[[Path, bytes], Table]:
    if path == STANDARD_INPUT:
        return _read_any
    read = READERS.get(ending_of(path))
    if read is None:
        formats = ", ".join(READERS)
        raise DataError(f"{path}: is none of {formats}", remedy="convert it to one of them")
    return read


def _unzipped(path: Path, content: bytes) -> bytes:
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: can't be uncompressed: {one_line(error)}") from None


def _read_any(path: Path, content: bytes) -> Table:
    """Reads a content whose kind no name tells."""
    if content.startswith(b"PAR1"):
        return _read_parquet(path, content)
    if content.startswith(b"PK"):
        return _read_xlsx(path, content)
    text = _text_of(path, content)
    return (read_json if text.lstrip()[:1] in ("{", "[") else read_csv)(path, text)


def _read_parquet(path: Path, content: bytes) -> Table:
    # Imported late: it takes a while, and CSV and JSON lines don't need it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(content)).read()
        names, notes = unique_names(table.column_names, path)
        table = table.rename_columns(names)
        rows = with_plain_times(table).to_pylist()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise DataError(f"{path}: can't be read as Parquet: {one_line(error)}") from error
    records = [Record(values, f"{path}, row {row}") for row, values in enumerate(rows, start=1)]
    return Table(tuple(names), records, tuple(notes))


def _read_xlsx(path: Path, content: bytes) -> Table:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    except (CalamineError, ValueError, OSError) as error:
        raise DataError(f"{path}: can't be read as a spreadsheet: {one_line(error)}") from error
    filled = {name: rows for name, rows in sheets.items() if any(map(_any_cell, rows))}
    if not filled:
        return Table((), ())
    name, rows = next(iter(filled.items()))
    first = next(index for index, row in enumerate(rows) if _any_cell(row))
    begin = [[str(cell) for cell in row] for row in rows[first : first + HEADER_ROWS]]
    start = first + header_index(begin)
    header, notes = unique_names([str(cell).strip() for cell in rows[start]], path)
    if start > first:
        verb = "row is" if start == first + 1 else "rows are"
        notes.append(f"{path}: {start - first} {verb} not read, above the names of the columns")
    unnamed = [n for n, each in enumerate(header) if not each]
    if any(n < len(row) and row[n] not in ("", None) for row in rows[start:] for n in unnamed):
        notes.append(f"{path}: columns without a name in the header are not read")
    records = [
        Record(
            {each: _cell(cell) for each, cell in zip(header, row, strict=False) if each},
            f'{path}, sheet "{name}", row {number - start} (line {number + 1})',
        )
        for number, row in enumerate(rows)
        if number > start and _any_cell(row)
    ]
    if len(filled) > 1:
        others = ", ".join(f'"{each}"' for each in list(filled)[1:])
        notes.append(f'{path}: read the sheet "{name}"; not read: {others}')
    return Table(tuple(each for each in header if each), records, tuple(notes))


def _any_cell(row: Sequence[object]) -> bool:
    return any(cell not in ("", None) for cell in row)


def _cell(cell: object) -> object:
    """A spreadsheet's cell; it has no whole numbers, only numbers."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return None if cell == "" else cell


def encoding_of(start: bytes) -> str:
    """The encoding of a text, told from its first four bytes."""
    if start.startswith(_UTF16):
        return "utf-16"
    if b"\0" in start[:4]:
        # Written without a byte order mark: the zero is the first byte of a Latin letter, or
        # its second.
        return "utf-16-be" if start[:1] == b"\0" else "utf-16-le"
    return "utf-8"


def _text_of(path: Path, content: bytes) -> str:
    data = content.removeprefix(codecs.BOM_UTF8)
    encoding = encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not {encoding.upper()} (byte 0x{data[error.start]:02x}); save "
            'the file as UTF-8 (in Excel: "CSV UTF-8")'
        ) from None


def _text(read: Callable[[Path, str], Table]) -> Callable[[Path, bytes], Table]:
    return lambda path, content: read(path, _text_of(path, content))


READERS: dict[str, Callable[[Path, bytes], Table]] = {
    ".csv": _text(read_csv),
    ".tsv": _text(read_csv),
    ".jsonl": _text(read_json),
    ".ndjson": _text(read_json),
    ".json": _text(read_json),
    ".parquet": _read_parquet,
    ".xlsx": _read_xlsx,
}
