"""A data set's rows in the form that operations take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Field
from tipstaff_trainer.data import Data, Row, without_groups_of
from tipstaff_trainer.data.columns import field_of
from tipstaff_trainer.data.rows import narrow
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.relabel import RelabelRequest, relabel
from tipstaff_trainer.operations.sources import FileData, StoredData
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.models import Dataset, LabelSet
from tipstaff_trainer.workspace.db.rows import StoredRow, to_data_row
from tipstaff_trainer.workspace.labels.label_sets import further_label_set
from tipstaff_trainer.workspace.labels.origins import label_origins
from tipstaff_trainer.workspace.labels.scores import ScoredBy
from tipstaff_trainer.workspace.operations.traffic_rows import (
    ReviewedTraffic,
    join_traffic,
    read_reviewed,
)
from tipstaff_trainer.workspace.stores import Stores


class StoredRows(Collection[Row]):
    """Rows of a data set, read from the database at each iteration.

    Args:
        count: The number of rows. A data set's rows don't change once it exists.
        read: Reads them.
    """

    def __init__(self, count: int, read: Callable[[], Iterable[StoredRow]]) -> None:
        self._count = count
        self._read = read

    def __iter__(self) -> Iterator[Row]:
        return map(to_data_row, self._read())

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)


class UnscoredRows(StoredRows):
    """The rows that a scorer has not scored yet, read from the database as they are scored.

    Args:
        stores: The workspace's stores.
        labels: The labels to read with the rows.
        scorer: An evaluator and its version, or the other rows.

    Attributes:
        row_ids: The database ids of the rows that were read, by the rows' own ids.
    """

    def __init__(self, stores: Stores, labels: LabelSet, scorer: ScoredBy) -> None:
        self.row_ids: dict[str, int] = {}
        count = labels.dataset.rows - stores.scores.counts(labels).get(scorer, 0)
        super().__init__(count, lambda: stores.scores.unscored(labels, scorer))

    def __iter__(self) -> Iterator[Row]:
        for row in self._read():
            self.row_ids[row.key] = row.id
            yield to_data_row(row)


def stored_source(source: FileData | StoredData | None) -> StoredData:
    """The data reference of a job's request.

    Raises:
        UsageError: It is a file: a job works on a data set.
    """
    if not isinstance(source, StoredData):
        raise UsageError("a job works on a data set", field="data")
    return source


def fields_to_read(source: StoredData, dataset: Dataset) -> tuple[Field, ...]:
    """The fields that a request names, or all that the data set's rows have, in their order."""
    names = dataset.fields if source.columns is None else source.columns
    return tuple(name for name in FIELDS if name in names)


def fields_of_columns(names: Sequence[str]) -> tuple[Field, ...]:
    """Fields by their own names, or by other names that are known for them.

    Raises:
        UsageError: A name is known for no field.
    """
    fields: list[Field] = []
    for name in [names] if isinstance(names, str) else names:
        known = field_of(name)
        if known is None:
            remedy = f"choose from {', '.join(FIELDS)}"
            raise UsageError(
                "is no field", field="selected_columns", value=str(name)[:80], remedy=remedy
            )
        fields.append(known)
    return tuple(fields)


def read_labelled(stores: Stores, source: StoredData) -> Data:
    """Reads the labelled rows that a data reference names.

    Raises:
        WorkspaceError: There are no such labels.
        DataError: No such row has a label.
    """
    labels = stores.label_set(source.dataset, source.criterion)
    rows = [
        to_data_row(row)
        for row in stores.datasets.rows(labels)
        if row.label is not None
        and source.part in ("", row.part)
        and (row.label_source == "human" or not source.human)
    ]
    if not rows:
        whose = " from a person" if source.human else ""
        raise DataError(
            f"no row of the data set's {source.part or 'rows'} has a label{whose}",
            remedy="label some first, or use other rows",
        )
    title = f"{labels.title}, {source.part or 'all'} rows"
    return to_data(title, rows, fields_to_read(source, labels.dataset))


def to_data(title: str, rows: Sequence[Row], fields: Sequence[Field]) -> Data:
    """Stored rows in the form of a file's rows."""
    return Data(
        file=title,
        rows=list(rows),
        columns=tuple(fields),
        grouped=any(row.group for row in rows),
        warnings=(),
        notes=(),
        whole=tuple(rows),
    )


def read_training_rows(stores: Stores, request: TrainRequest, reporter: Reporter) -> TrainingRows:
    """Reads the rows to train on: labelled ones of both parts, and unlabelled training rows.

    Raises:
        WorkspaceError: There are no such labels.
        DataError: Too few reviewed rows to relabel from.
    """
    source = stored_source(request.data)
    labels = stores.label_set(source.dataset, source.criterion)
    fields = fields_to_read(source, labels.dataset)
    labelled: dict[str, list[StoredRow]] = {"train": [], "test": []}
    unlabelled: list[Row] = []
    for row in (each for part in _parts(stores, source) for each in _with_origins(stores, part)):
        if row.label is not None:
            labelled[row.part].append(row)
        elif row.part == "train" and request.size != "full":
            # The full evaluator, which teaches the small one, scores them.
            unlabelled.append(to_data_row(row))
    train = [to_data_row(row) for row in labelled["train"]]
    if request.relabel:
        train = _relabel(source, labelled["train"], train, reporter)
    test = [to_data_row(row) for row in labelled["test"]]
    train, test = _tested_apart(stores, source, train, test, reporter)
    train_rows = _narrow(train, fields)
    traffic = ReviewedTraffic()
    if request.traffic:
        traffic = read_reviewed(stores, request.traffic, source.criterion)
        traffic = replace(
            traffic, train=_narrow(traffic.train, fields), test=_narrow(traffic.test, fields)
        )
        train_rows = join_traffic(
            train_rows, traffic, base=request.base, seed=request.seed, reporter=reporter
        )
    rows = TrainingRows(
        train_rows, fields, _narrow(test, fields), _narrow(unlabelled, fields), traffic.test
    )
    reporter.note(f"{len(rows.train)} rows to train on, {len(rows.test)} to test on")
    if rows.unlabelled:
        reporter.note(f"{len(rows.unlabelled)} rows without a label to learn from too")
    return rows


def _parts(stores: Stores, source: StoredData) -> list[LabelSet]:
    """The label sets of all data sets to train on.

    Raises:
        WorkspaceError: One has no such labels.
    """
    first = stores.label_set(source.dataset, source.criterion)
    more = (stores.datasets.get(each) for each in source.more)
    return [first, *(further_label_set(each, first.criterion) for each in more)]


def _with_origins(stores: Stores, labels: LabelSet) -> Iterator[StoredRow]:
    """A data set's rows; its own columns and those that say who labelled each row."""
    origins = label_origins(stores.database, labels)
    for row in stores.datasets.rows(labels):
        yield replace(row, extra={**row.extra, **origins.get(row.id, {})})


def _tested_apart(
    stores: Stores, source: StoredData, train: list[Row], test: list[Row], reporter: Reporter
) -> tuple[list[Row], list[Row]]:
    """Rows to train on and to test on, no group on both sides, over all the data sets."""
    if source.test_dataset is not None:
        criterion = stores.label_set(source.dataset, source.criterion).criterion
        labels = further_label_set(stores.datasets.get(source.test_dataset), criterion)
        # What one data set held out is no reason to leave it out where another tests.
        train, test = [*train, *test], [to_data_row(row) for row in stores.datasets.rows(labels)]
        test = [row for row in test if row.labelled]
        if not test:
            raise DataError(f"no row of {labels.title} has a label to test on")
    if not source.more and source.test_dataset is None:
        return train, test
    left = without_groups_of(train, test) if test else train
    if shared := len(train) - len(left):
        reporter.note(
            f"left out {shared} of {len(train)} rows, whose group or texts are also among the test "
            "rows"
        )
    if not left:
        raise DataError(
            "no row is left to train on, since each shares its group or its texts with a test row",
            remedy="give other test rows",
        )
    return left, test


def _relabel(
    source: StoredData, stored: Sequence[StoredRow], rows: Sequence[Row], reporter: Reporter
) -> list[Row]:
    """Corrects the judge's labels by what people said about some of its rows.

    The stored labels stay as they are: the next training corrects them by the reviews until then.
    """
    judged, reviewed = list(rows), []
    for index, (row, each) in enumerate(zip(rows, stored, strict=True)):
        if each.label_source == "human" and each.judge_label is not None:
            judged[index] = replace(row, label=each.judge_label, label_source="judge")
            reviewed.append(row)
    result = relabel(RelabelRequest(data=source), judged, reviewed, reporter)
    changed = sum(old.good != new.good for old, new in zip(rows, result.rows, strict=True))
    reporter.note(
        f"relabelled: of {result.drawn} rows drawn at random, people overruled the judge in "
        f"{result.overruled}; {changed} of its other labels changed side"
    )
    reporter.note(result.worth)
    return list(result.rows)


def _narrow(rows: Sequence[Row], fields: Sequence[Field]) -> list[Row]:
    """The rows with these fields only, without rows that are blank in all of them."""
    narrowed = [replace(row, interaction=narrow(row.interaction, fields)) for row in rows]
    return [
        row for row in narrowed if any((row.interaction.get(name) or "").strip() for name in fields)
    ]
