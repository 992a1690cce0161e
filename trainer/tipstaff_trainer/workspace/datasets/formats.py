"""Reading uploads and writing downloads: CSV, JSON lines, Parquet, Label Studio's JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Interaction
from tipstaff_trainer.data import Data, LabelSource, cells, read_rows
from tipstaff_trainer.data.columns import PART_OF, resolve
from tipstaff_trainer.data.reading import read_table
from tipstaff_trainer.data.writing import whole_file
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.judge.prompt import NOTE_COLUMN
from tipstaff_trainer.workspace.datasets import label_studio
from tipstaff_trainer.workspace.datasets.queries import Datasets
from tipstaff_trainer.workspace.db.models import Dataset, DatasetRow, LabelSet
from tipstaff_trainer.workspace.db.rows import StoredRow, to_stored_row

Frame = TypeVar("Frame")
# A download's endings.
FORMATS = ("csv", "jsonl", "parquet", "json")
# The endings that can hold labels by several criteria; Label Studio's JSON can't.
TABLES = ("csv", "jsonl", "parquet")
# The columns of a label that are numbers.
_NUMBERS = ("label", "judge_label")
_PARQUET_ROWS = 5000
_NOTES_AT_ONCE = 500
_PREVIEW_ROWS = 5


def read(
    path: Path,
    *,
    display_name: str,
    mapping: Mapping[str, str] | None = None,
    label_source: LabelSource | None = None,
) -> Data:
    """Reads a file for a data set, with rows that have no label.

    Args:
        path: The file.
        display_name: The file's name in messages.
        mapping: From a role, as `output`, to a column's name.
        label_source: The source of the labels, if no column has it.

    Raises:
        DataError: The file, a column or a row can't be used.
        UsageError: `mapping` has an unknown role.
    """
    with _errors_name(path, display_name), label_studio.as_lines(path) as lines:
        data = read_rows(lines, mapping=mapping, label_source=label_source, labelled=False)
    return replace(
        data, warnings=tuple(_rename(each, path, display_name) for each in data.warnings)
    )


@dataclass(frozen=True, slots=True)
class FilePreview:
    """A file's columns and first rows, before it is imported.

    Attributes:
        columns: The columns' names.
        rows: The first few rows, by column.
        mapping: A guess of the mapping: from a role to a column's name.
        count: The number of rows.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    mapping: Mapping[str, str]
    count: int


def preview_file(path: Path, *, display_name: str) -> FilePreview:
    """Reads a file's columns and first rows.

    Raises:
        DataError: The file can't be read.
    """
    with _errors_name(path, display_name), label_studio.as_lines(path) as lines:
        table = read_table(lines)
    mapping: dict[str, str] = {}
    # Without a guess people choose themselves.
    with suppress(DataError):
        names = resolve(table.columns, {}, labelled=False, file=display_name).names
        mapping = {str(role): column for role, column in names.items()}
    rows = [
        {name: cells.anything(record.values.get(name)) for name in table.columns}
        for record in table.records[:_PREVIEW_ROWS]
    ]
    return FilePreview(table.columns, rows, mapping, len(table.records))


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


def dump_together(datasets: Datasets, dataset: Dataset, file: BinaryIO, ending: str) -> None:
    """Writes a data set with all label sets, in columns such as `toxicity.label`.

    `data.columns.resolve` finds the other columns of a label when its column is mapped.
    """
    prefixes = [each.criterion and each.criterion + PART_OF for each in dataset.label_sets]
    noted = (_with_notes(datasets, each, datasets.rows(each)) for each in dataset.label_sets)
    rows = zip(*noted, strict=True)
    by_prefix = (dict(zip(prefixes, row, strict=True)) for row in rows)
    _dump(by_prefix, prefixes, dataset.extra, file, ending)


def with_scores(
    frame: Frame, name: str, score: Callable[[Sequence[Interaction]], Sequence[Any]]
) -> Frame:
    """A copy of a pandas frame with a column `<name>_score`.

    Raises:
        DataError: The frame has none of the columns that are scored, or a cell is not a text.
    """
    data: Any = frame
    columns = resolve([str(each) for each in data.columns], {}, labelled=False, file="the frame")
    texts: dict[str, list[str | None]] = {field: [None] * len(data) for field in FIELDS}
    for field, column in columns.names.items():
        if field in FIELDS:
            try:
                texts[field] = [cells.text(value) for value in data[column].tolist()]
            except ValueError as error:
                raise DataError(f'the frame, column "{column}": {error}') from None
    interactions = [Interaction(*each) for each in zip(*texts.values(), strict=True)]
    scores = [prediction.score for prediction in score(interactions)]
    return data.assign(**{f"{name}_score": scores})  # type: ignore[no-any-return]


@contextmanager
def _errors_name(path: Path, display_name: str) -> Iterator[None]:
    """Replaces the path of an upload in errors by the name that its owner knows."""
    try:
        yield
    except (DataError, UsageError) as error:
        raise type(error)(
            _rename(error.message, path, display_name),
            field=error.field,
            value=_rename(error.value, path, display_name),
            remedy=_rename(error.remedy, path, display_name),
        ) from None


def _rename(message: str, path: Path, display_name: str) -> str:
    for stored_as in (str(path) + label_studio.SUFFIX, str(path)):
        message = message.replace(stored_as, display_name)
    return message


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
        lines = csv.DictWriter(_Utf8(file), names, extrasaction="ignore")
        lines.writeheader()
        lines.writerows(records)
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
