"""A data set's rows as operations take them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Field
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.data.rows import narrow
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.sources import FileData, StoredData
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.models import Dataset, LabelSet
from tipstaff_trainer.workspace.db.rows import StoredRow, to_data_row, to_stored_row
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, ScoredBy
from tipstaff_trainer.workspace.stores import Stores

_PAGE_ROWS = 500


class StoredRows(Collection[Row]):
    """A data set's rows, or some of them, read from the database at each iteration.

    Args:
        stores: The workspace's.
        labels: The labels that the rows are read with.
        ids: Of some rows, in their order; None for all rows.
    """

    def __init__(self, stores: Stores, labels: LabelSet, ids: Sequence[int] | None = None) -> None:
        self._stores = stores
        self._labels = labels
        self._ids = ids
        # A data set's rows don't change once it exists.
        self._count = labels.dataset.rows if ids is None else len(ids)

    def __iter__(self) -> Iterator[Row]:
        datasets = self._stores.datasets
        if self._ids is None:
            yield from map(to_data_row, datasets.rows(self._labels))
        else:
            yield from map(to_data_row, datasets.some(self._ids, self._labels))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)


class UnscoredRows(Collection[Row]):
    """The rows that a scorer has not scored yet, read from the database as they are scored.

    Args:
        stores: The workspace's.
        labels: The labels that the rows are read with.
        scorer: An evaluator and its version, or the other rows.

    Attributes:
        row_ids: The stored row's id of each row that was read, by the row's own id.
    """

    def __init__(self, stores: Stores, labels: LabelSet, scorer: ScoredBy) -> None:
        self.row_ids: dict[str, int] = {}
        self._stores = stores
        self._labels = labels
        self._scorer = scorer
        self._count = labels.dataset.rows - stores.scores.counts(labels).get(scorer, 0)

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows():
            self.row_ids[row.key] = row.id
            yield to_data_row(row)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)

    def _rows(self) -> Iterator[StoredRow]:
        if self._scorer == OTHER_ROWS:
            yield from self._stores.datasets.rows(self._labels)
            return
        position = -1
        while page := self._stores.scores.unscored(
            self._labels, self._scorer, after=position, limit=_PAGE_ROWS
        ):
            position = page[-1].position
            yield from map(to_stored_row, page)


def stored_source(source: FileData | StoredData | None) -> StoredData:
    """The data reference of a job's request.

    Raises:
        UsageError: It is a file: a job works on a data set.
    """
    if not isinstance(source, StoredData):
        raise UsageError("a job works on a data set", field="data")
    return source


def fields_to_read(source: StoredData, dataset: Dataset) -> tuple[Field, ...]:
    """The fields that a request names, else all that the data set's rows have."""
    if source.columns is not None:
        return source.columns
    return tuple(name for name in FIELDS if name in dataset.fields)


def read_labelled(stores: Stores, source: StoredData) -> Data:
    """The labelled rows that a data reference names.

    Raises:
        WorkspaceError: There are no such labels.
        DataError: No such row has a label.
    """
    labels = stores.label_set(source.dataset, source.criterion)
    rows = stores.datasets.labelled(labels, part=source.part)
    if source.human:
        rows = [row for row in rows if row.label_source == "human"]
    if not rows:
        whose = " from a person" if source.human else ""
        raise DataError(
            f"no row of the data set's {source.part or 'rows'} has a label{whose}",
            remedy="label some first, or use other rows",
        )
    title = f"{labels.title}, {source.part or 'all'} rows"
    return to_data(title, rows, fields_to_read(source, labels.dataset))


def to_data(title: str, rows: Sequence[Row], fields: Sequence[Field]) -> Data:
    """Stored rows as a file's are read."""
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
    """The rows that a training of a data set takes.

    Raises:
        WorkspaceError: There are no such labels.
        DataError: Too few reviewed rows to relabel from.
    """
    source = stored_source(request.data)
    labels = stores.label_set(source.dataset, source.criterion)
    fields = fields_to_read(source, labels.dataset)
    stored = [row for row in stores.datasets.rows(labels) if row.label is not None]
    to_train_on = [row for row in stored if row.part == "train"]
    train = (
        _relabel(source, to_train_on, reporter)
        if request.relabel
        else [to_data_row(row) for row in to_train_on]
    )
    test = [to_data_row(row) for row in stored if row.part == "test"]
    unlabelled: list[Row] = []
    if request.size != "full":
        # The full evaluator, which teaches the small one, scores them.
        unlabelled = [
            to_data_row(row)
            for row in stores.datasets.rows(labels, only="unlabelled")
            if row.part == "train"
        ]
    rows = TrainingRows(
        _narrow(train, fields), fields, _narrow(test, fields), _narrow(unlabelled, fields)
    )
    reporter.note(f"{len(rows.train)} rows to train on, {len(rows.test)} to test on")
    if rows.unlabelled:
        reporter.note(f"{len(rows.unlabelled)} rows without a label to learn from too")
    return rows


def _relabel(source: StoredData, stored: Sequence[StoredRow], reporter: Reporter) -> list[Row]:
    """The rows with the judge's labels corrected by what people said of some of them.

    The stored labels stay as they are: the next training corrects them by the reviews until then.
    """
    # Only now: it is seldom asked for, and torch takes seconds to import.
    from tipstaff_trainer.operations.relabel import RelabelRequest, relabel

    rows = [to_data_row(row) for row in stored]
    judge_labels = {
        row.key: row.judge_label
        for row in stored
        if row.label_source == "human" and row.judge_label is not None
    }
    reviewed = {row.id: row for row in rows if row.id in judge_labels}
    judged = [
        replace(row, label=judge_labels[row.id], label_source="judge")
        if row.id in reviewed
        else row
        for row in rows
    ]
    result = relabel(RelabelRequest(data=source), judged, reviewed.values(), reporter)
    changed = sum(old.good != new.good for old, new in zip(rows, result.rows, strict=True))
    reporter.note(
        f"relabelled: of {result.drawn} rows drawn at random, people overruled the judge in "
        f"{result.overruled}; {changed} of its other labels changed side"
    )
    reporter.note(result.worth)
    return list(result.rows)


def _narrow(rows: Sequence[Row], fields: Sequence[Field]) -> list[Row]:
    """The rows with these fields only; none that is blank in all of them."""
    narrowed = [replace(row, interaction=narrow(row.interaction, fields)) for row in rows]
    return [
        row for row in narrowed if any((row.interaction.get(name) or "").strip() for name in fields)
    ]
