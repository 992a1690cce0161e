"""Files in and out: CSV, JSON lines, Parquet, and Label Studio's JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Interaction
from tipstaff_trainer.data import Data, LabelSource, cells, read_rows
from tipstaff_trainer.data.columns import PART_OF, resolve
from tipstaff_trainer.data.reading import read_table
from tipstaff_trainer.data.writing import whole_file
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.workspace.datasets import label_studio
from tipstaff_trainer.workspace.datasets.queries import Datasets
from tipstaff_trainer.workspace.db.models import Dataset, DatasetRow, LabelSet
from tipstaff_trainer.workspace.db.rows import StoredRow, stored

Frame = TypeVar("Frame")
# By the ending of a download.
FORMATS = ("csv", "jsonl", "parquet", "json")
# Of those, what holds the labels by several criteria: Label Studio's has room for one.
TABLES = ("csv", "jsonl", "parquet")
# Of what is said of a row's label.
_NUMBERS = ("label", "judge_label")
_PARQUET_ROWS = 5000
_SHOWN_ROWS = 5


def read(
    path: Path,
    *,
    shown: str,
    mapping: Mapping[str, str] | None = None,
    label_source: LabelSource | None = None,
) -> Data:
    """Reads a file for a data set, rows without a label too.

    Args:
        path: The file.
        shown: Its name in messages.
        mapping: From a column's meaning to its name.
        label_source: Whose labels they are, where no column says so.

    Raises:
        DataError: The file, a column or a row can't be used.
        UsageError: `mapping` names something that there is not.
    """
    with _named(path, shown), label_studio.as_lines(path) as lines:
        data = read_rows(lines, mapping=mapping, label_source=label_source, labelled=False)
    return replace(data, warnings=tuple(_renamed(each, path, shown) for each in data.warnings))


@dataclass(frozen=True, slots=True)
class Look:
    """What a file looks like before it is read for good.

    Attributes:
        columns: Their names.
        rows: The first few, by column.
        guessed: What we take the columns for, by meaning.
        count: How many rows there are.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    guessed: Mapping[str, str]
    count: int


def look(path: Path, *, shown: str) -> Look:
    """Looks at a file's columns and first rows.

    Raises:
        DataError: The file can't be read.
    """
    with _named(path, shown), label_studio.as_lines(path) as lines:
        table = read_table(lines)
        guessed: dict[str, str] = {}
        # Where we can't tell, people say.
        with suppress(DataError):
            guessed.update(
                (str(role), column)
                for role, column in resolve(
                    table.columns, {}, labelled=False, file=shown
                ).names.items()
            )
        rows = [
            {name: cells.anything(record.values.get(name)) for name in table.columns}
            for record in table.records[:_SHOWN_ROWS]
        ]
        return Look(table.columns, rows, guessed, len(table.records))


def write(path: Path, dump: Callable[[BinaryIO, str], None], endings: Sequence[str]) -> Path:
    """Writes a data set into a file that appears whole or not at all.

    Args:
        path: The file.
        dump: Writes the data set into an open file, for an ending.
        endings: Those that there are.

    Raises:
        UsageError: The file's ending is none of these.
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
    """Writes a data set with some labels into an open file, a few rows at a time."""
    rows = datasets.rows(labels, only=only)
    if ending == "json":
        label_studio.dump(datasets, labels, rows, file)
    else:
        _dump(({"": row} for row in rows), [""], labels.dataset.extra, file, ending)


def dump_together(datasets: Datasets, dataset: Dataset, file: BinaryIO, ending: str) -> None:
    """Writes a data set with its labels by every criterion, in columns that begin with its name.

    As in `toxicity.label`; when that is mapped, `data.columns.resolve` finds what is said of it.
    """
    prefixes = [each.criterion and each.criterion + PART_OF for each in dataset.label_sets]
    rows = zip(*(datasets.rows(each) for each in dataset.label_sets), strict=True)
    found = (dict(zip(prefixes, row, strict=True)) for row in rows)
    _dump(found, prefixes, dataset.extra, file, ending)


def with_scores(
    frame: Frame, name: str, score: Callable[[Sequence[Interaction]], Sequence[Any]]
) -> Frame:
    """A pandas frame with a column `<name>_score` of what `score` gives for its rows.

    Raises:
        DataError: It has none of the columns that are scored, or a cell is no text.
    """
    data: Any = frame
    columns = resolve([str(each) for each in data.columns], {}, labelled=False, file="the frame")
    texts: dict[str, list[str | None]] = {}
    for field in FIELDS:
        if field not in columns.names:
            texts[field] = [None] * len(data)
            continue
        try:
            texts[field] = [cells.text(value) for value in data[columns.names[field]].tolist()]
        except ValueError as error:
            raise DataError(f'the frame, column "{columns.names[field]}": {error}') from None
    interactions = [
        Interaction(*each) for each in zip(*(texts[field] for field in FIELDS), strict=True)
    ]
    scores = [prediction.score for prediction in score(interactions)]
    return data.assign(**{f"{name}_score": scores})  # type: ignore[no-any-return]


@contextmanager
def _named(path: Path, shown: str) -> Iterator[None]:
    """Has messages name a file as its owner does, not as it is kept here."""
    try:
        yield
    except (DataError, UsageError) as error:
        raise type(error)(_renamed(str(error), path, shown)) from None


def _renamed(message: str, path: Path, shown: str) -> str:
    for kept in (str(path) + label_studio.SUFFIX, str(path)):
        message = message.replace(kept, shown)
    # Here a mapping is no flag.
    return message.replace("--map ", "")


# A row as it stands by each criterion, by what the columns of its labels begin with.
Standing = Mapping[str, StoredRow]


def _record(standing: Standing) -> dict[str, Any]:
    """A row as `tipstaff train` reads it, its own columns last."""
    row = next(iter(standing.values()))
    columns: dict[str, Any] = {
        "id": row.key,
        **{str(name): getattr(row, name) for name in FIELDS},
        **{
            prefix + name: value
            for prefix, by in standing.items()
            for name, value in _label(by).items()
        },
        "weight": row.weight,
        "group": row.group or None,
        "split": row.part,
    }
    return columns | {name: text for name, text in row.extra.items() if name not in columns}


def _label(row: StoredRow) -> dict[str, Any]:
    return {
        "label": row.label,
        "label_source": row.label_source or None,
        "selection": row.selection,
        "judge_label": row.judge_label,
    }


def _dump(
    rows: Iterable[Standing],
    prefixes: Sequence[str],
    extra: Sequence[str],
    file: BinaryIO,
    ending: str,
) -> None:
    none = stored(DatasetRow(extra={}, key=""))
    names = list(dict.fromkeys([*_record(dict.fromkeys(prefixes, none)), *extra]))
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
    """What `csv` writes to: text in, bytes out."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode("utf-8", "replace"))


def _dump_parquet(
    records: Iterable[dict[str, Any]], names: Sequence[str], numbers: Container[str], file: BinaryIO
) -> None:
    # Imported late: the other formats do without it, and it takes a while.
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in names])
    with pq.ParquetWriter(file, schema) as writer:
        batch: list[dict[str, Any]] = []
        for record in records:
            batch.append(record)
            if len(batch) == _PARQUET_ROWS:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
