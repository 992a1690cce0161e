"""Writing downloads: CSV, JSON lines, Parquet, Label Studio's JSON."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_trainer.data.columns import PART_OF
from tipstaff_trainer.data.csv_files import escaped
from tipstaff_trainer.data.writing import whole_file
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.prompt import NOTE_COLUMN
from tipstaff_trainer.workspace.datasets import label_studio
from tipstaff_trainer.workspace.datasets.queries import Datasets
from tipstaff_trainer.workspace.db.models import Dataset, DatasetRow, LabelSet
from tipstaff_trainer.workspace.db.rows import StoredRow, to_stored_row

# A download's endings.
FORMATS = ("csv", "jsonl", "parquet", "json")
# The endings that can hold labels by several criteria; Label Studio's JSON can't.
TABLES = ("csv", "jsonl", "parquet")
# The columns of a label that are numbers.
_NUMBERS = ("label", "judge_label")
_PARQUET_ROWS = 5000
_NOTES_AT_ONCE = 500


def write(path: Path, dump: Callable[[BinaryIO, str], None], endings: Sequence[str]) -> Path:
    """Writes a data set to a file, atomically.

    Args:
        path: The file.
        dump: Writes the data set to an open file, in the format of an ending.
        endings: The endings that `dump` supports.

    Raises:
        UsageError: The file has another ending.
        WorkspaceError: The file can't be written.
    """
    ending = path.suffix.removeprefix(".").casefold()
    if ending not in endings:
        raise UsageError(f"{path.name}: end it in one of .{', .'.join(endings)}")
    try:
        with whole_file(path) as file:
            dump(file, ending)
    except OSError as error:
        raise WorkspaceError(f"{path}: can't be written: {error.strerror}") from error
    return path


def dump(
    datasets: Datasets, labels: LabelSet, file: BinaryIO, ending: str, *, only: str = "all"
) -> None:
    """Writes a data set with one label set to an open file, a few rows at a time."""
    rows = datasets.rows(labels, only=only)
    if ending == "json":
        label_studio.dump(datasets, labels, rows, file)
    else:
        noted = _with_notes(datasets, labels, rows)
        _dump(({"": each} for each in noted), [""], labels.dataset.extra, file, ending)


def to_frame(datasets: Datasets, labels: LabelSet, *, only: str = "all") -> Any:
    """A data set with one label set as a pandas frame, in the columns of a file.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UsageError(
            "pandas is not installed", remedy="install it, or give {file} to write to"
        ) from None
    noted = _with_notes(datasets, labels, datasets.rows(labels, only=only))
    return pd.DataFrame([_record({"": each}) for each in noted])


def dump_together(datasets: Datasets, dataset: Dataset, file: BinaryIO, ending: str) -> None:
    """Writes a data set with all label sets, in columns such as `toxicity.label`.

    `data.columns.resolve` finds the other columns of a label when its column is mapped.
    """
    prefixes = [each.criterion and each.criterion + PART_OF for each in dataset.label_sets]
    noted = (_with_notes(datasets, each, datasets.rows(each)) for each in dataset.label_sets)
    rows = zip(*noted, strict=True)
    by_prefix = (dict(zip(prefixes, row, strict=True)) for row in rows)
    _dump(by_prefix, prefixes, dataset.extra, file, ending)


# A row with its reviewers' notes.
NotedRow = tuple[StoredRow, str]
# The same by several criteria, keyed by the prefix of their labels' columns.
RowByPrefix = Mapping[str, NotedRow]


def _with_notes(
    datasets: Datasets, labels: LabelSet, rows: Iterable[StoredRow]
) -> Iterator[NotedRow]:
    rest = iter(rows)
    while some := list(islice(rest, _NOTES_AT_ONCE)):
        notes = datasets.notes([row.id for row in some], labels)
        yield from ((row, notes.get(row.id, "")) for row in some)


def _record(by_prefix: RowByPrefix) -> dict[str, Any]:
    """A row in the columns that `tipstaff train` reads, its own columns last."""
    row, _ = next(iter(by_prefix.values()))
    columns = {"id": row.key, **{str(name): getattr(row, name) for name in FIELDS}}
    for prefix, (labelled, note) in by_prefix.items():
        columns |= {
            f"{prefix}label": labelled.label,
            f"{prefix}label_source": labelled.label_source or None,
            f"{prefix}selection": labelled.selection,
            f"{prefix}judge_label": labelled.judge_label,
            # An uploaded file may have brought notes.
            f"{prefix}{NOTE_COLUMN}": note or row.extra.get(f"{prefix}{NOTE_COLUMN}"),
        }
    columns |= {"weight": row.weight, "group": row.group or None, "split": row.part}
    return columns | {name: text for name, text in row.extra.items() if name not in columns}


def _dump(
    rows: Iterable[RowByPrefix],
    prefixes: Sequence[str],
    extra: Sequence[str],
    file: BinaryIO,
    ending: str,
) -> None:
    empty = to_stored_row(DatasetRow(extra={}, key="")), ""
    names = list(dict.fromkeys([*_record(dict.fromkeys(prefixes, empty)), *extra]))
    records = map(_record, rows)
    if ending == "jsonl":
        for record in records:
            line = json.dumps(record, ensure_ascii=False)
            file.write(line.encode("utf-8", "replace") + b"\n")
    elif ending == "csv":
        # Spreadsheets take a file without the mark for one in an encoding of their own.
        file.write(codecs.BOM_UTF8)
        lines = csv.DictWriter(_Utf8(file), names, extrasaction="ignore")
        lines.writeheader()
        lines.writerows(
            {name: escaped(name, value) for name, value in record.items()} for record in records
        )
    else:
        numbers = {"weight", *(f"{each}{name}" for each in prefixes for name in _NUMBERS)}
        _dump_parquet(records, names, numbers, file)


class _Utf8:
    """A text file for `csv` that writes UTF-8 to a binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode("utf-8", "replace"))


def _dump_parquet(
    records: Iterator[dict[str, Any]], names: Sequence[str], numbers: Container[str], file: BinaryIO
) -> None:
    # Slow to import, and not needed by other formats.
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in names])
    with pq.ParquetWriter(file, schema) as writer:
        while batch := list(islice(records, _PARQUET_ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
