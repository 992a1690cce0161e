"""Data sets: lists, pages of rows, and a row's labels; `ingest` inserts and deletes rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from tipstaff_trainer.data import Data
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.datasets.ingest import hide, store, sweep
from tipstaff_trainer.workspace.datasets.split import split_dataset
from tipstaff_trainer.workspace.db import full_text
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import Dataset, DatasetRow, Label, LabelSet, RowLabel
from tipstaff_trainer.workspace.db.rows import StoredRow, select_rows, to_stored_row

_AT_ONCE = 2000
# Databases limit the values of an IN list.
_IDS_AT_ONCE = 500
# A data set, its id or its name.
AnyDataset = Dataset | int | str
# The states of data sets that users see.
_VISIBLE = ("ready", "archived")
_NAME = re.compile(r"[^\W_][\w .,()+-]{0,79}")
# What a page of rows can be filtered by.
FILTERS = ("all", "unlabelled", "human", "judge", "other", "disputed", "test")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in their order, with the positions that neighbouring pages start from."""

    rows: Sequence[StoredRow]
    before: int | None
    after: int | None


class Datasets:
    """The data sets of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, data: Data, *, file: str = "", criterion: str = "", who: str = ""
    ) -> Dataset:
        """Stores a file's rows and labels as a new data set.

        Args:
            name: The new data set's name.
            data: The file's rows, from `data.read_rows`.
            file: The file's name, as its owner knows it.
            criterion: The criterion of the labels; empty if it is not known.
            who: The person who uploads the file.

        Raises:
            WorkspaceError: The name is taken or not allowed, or the disk is full.
        """
        name = _checked_name(name)
        return self.get(store(self._database, name, data, file=file, criterion=criterion, who=who))

    def all(self, *, words: str = "", archived: bool = False) -> Sequence[Dataset]:
        """All data sets, newest first.

        Args:
            words: Only data sets whose name, file or criterion contains each of these words.
            archived: The archived data sets instead of the others.
        """
        query = select(Dataset).where(Dataset.state == ("archived" if archived else "ready"))
        for word in words.split():
            has_word = LabelSet.criterion.icontains(word, autoescape=True)
            query = query.where(
                or_(
                    Dataset.name.icontains(word, autoescape=True),
                    Dataset.file.icontains(word, autoescape=True),
                    Dataset.id.in_(select(LabelSet.dataset_id).where(has_word)),
                )
            )
        return self._database.scalars(query.order_by(Dataset.id.desc()))

    def archive(self, which: AnyDataset, *, restore: bool = False) -> None:
        """Archives a data set, or restores it from the archive."""
        dataset = self.get(which)
        with self._database.writing() as session:
            session.execute(
                update(Dataset)
                .where(Dataset.id == dataset.id, Dataset.state.in_(_VISIBLE))
                .values(state="ready" if restore else "archived")
            )

    def delete(self, which: AnyDataset) -> None:
        """Deletes a data set with all its labels; `sweep` frees the disk space.

        Raises:
            WorkspaceError: The data set is not in the archive, or a job works on it.
        """
        hide(self._database, self.get(which))

    def sweep(self) -> None:
        """Removes the rows of deleted data sets and of failed uploads."""
        sweep(self._database)

    def get(self, which: AnyDataset) -> Dataset:
        """One data set by id or name, as it is now.

        Raises:
            WorkspaceError: There is no such data set.
        """
        key = which.id if isinstance(which, Dataset) else which
        column = Dataset.id if isinstance(key, int) else Dataset.name
        query = select(Dataset).where(column == key, Dataset.state.in_(_VISIBLE))
        dataset = self._database.scalar(query)
        if dataset is None:
            ready = select(Dataset.name).where(Dataset.state == "ready").limit(20)
            names = ", ".join(self._database.scalars(ready))
            raise WorkspaceError(
                f"there is no data set {key!r}" + (f", only {names}" if names else " yet")
            )
        return dataset

    def page(
        self,
        labels: LabelSet,
        *,
        only: str = "all",
        words: str = "",
        after: int = -1,
        before: int | None = None,
        size: int = 50,
    ) -> Page:
        """A page of rows, by position: after one row, or before one.

        Args:
            labels: The labels to read with the rows.
            only: One of `FILTERS`.
            words: Only rows whose texts contain all these words, or words that begin with them.
            after: The position that the page starts after.
            before: The position that the page ends before, instead.
            size: The most rows on the page.
        """
        query, position = _filtered(labels, only)
        matches = full_text.contains(words, labels.dataset_id, sqlite=self._database.is_sqlite)
        if matches is not None:
            query = query.where(matches)
        if before is None:
            query = query.where(position > after).order_by(position)
        else:
            query = query.where(position < before).order_by(position.desc())
        rows = [to_stored_row(*each) for each in self._database.rows(query.limit(size + 1))]
        has_more, rows = len(rows) > size, rows[:size]
        has_earlier, has_later = after >= 0, has_more
        if before is not None:
            rows.reverse()
            has_earlier, has_later = has_more, True
        first, last = (rows[0].position, rows[-1].position) if rows else (None, None)
        return Page(rows, first if has_earlier else None, last if has_later else None)

    def row(self, row_id: int, labels: LabelSet) -> StoredRow:
        """One row of a data set.

        Raises:
            WorkspaceError: The data set has no such row.
        """
        row = next(self.some([row_id], labels), None)
        if row is None:
            raise WorkspaceError(f"there is no row {row_id} in {labels.dataset.name}")
        return row

    def some(self, row_ids: Sequence[int], labels: LabelSet) -> Iterator[StoredRow]:
        """Rows of a data set by id, in the order of the ids, without deleted ones."""
        for start in range(0, len(row_ids), _IDS_AT_ONCE):
            ids = row_ids[start : start + _IDS_AT_ONCE]
            rows = self._database.rows(select_rows(labels).where(DatasetRow.id.in_(ids)))
            by_id = {row.id: to_stored_row(row, label) for row, label in rows}
            yield from (by_id[row_id] for row_id in ids if row_id in by_id)

    def text(self, row_id: int) -> DatasetRow:
        """One row of any data set, without its labels.

        Raises:
            WorkspaceError: There is no such row.
        """
        row = self._database.scalar(select(DatasetRow).where(DatasetRow.id == row_id))
        if row is None:
            raise WorkspaceError(f"there is no row {row_id}")
        return row

    def labels(self, row_id: int, labels: LabelSet) -> Sequence[Label]:
        """A row's labels in the order of the log."""
        return self.labels_of([row_id], labels)[row_id]

    def labels_of(self, row_ids: Sequence[int], labels: LabelSet) -> dict[int, list[Label]]:
        """The labels of some rows, by row id, in the order of the log."""
        by_row: dict[int, list[Label]] = {row_id: [] for row_id in row_ids}
        query = select(Label).where(Label.row_id.in_(by_row), labels.of(Label)).order_by(Label.id)
        for label in self._database.scalars(query):
            by_row[label.row_id].append(label)
        return by_row

    def notes(self, row_ids: Sequence[int], labels: LabelSet) -> dict[int, str]:
        """The notes in people's latest labels of some rows, by row id; rows without are left out.

        Where several people wrote one, their names come first.
        """
        latest: dict[int, dict[str, str]] = defaultdict(dict)
        query = (
            select(Label.row_id, Label.who, Label.reason)
            .where(Label.row_id.in_(row_ids), labels.of(Label), Label.source == "human")
            .order_by(Label.id)
        )
        for row_id, who, reason in self._database.rows(query):
            latest[row_id][who] = reason
        notes = {}
        for row_id, by_person in latest.items():
            written = {who: note for who, note in by_person.items() if note}
            if len(written) == 1:
                (notes[row_id],) = written.values()
            elif written:
                notes[row_id] = "; ".join(f"{who}: {note}" for who, note in written.items())
        return notes

    def rows(self, labels: LabelSet, *, only: str = "all") -> Iterator[StoredRow]:
        """All rows in their order, read a page at a time to bound memory."""
        after: int | None = -1
        while after is not None:
            page = self.page(labels, only=only, after=after, size=_AT_ONCE)
            yield from page.rows
            after = page.after

    def labelled(self, labels: LabelSet, *, part: str = "", human: bool = False) -> int:
        """How many rows of a part, or of all, have a label; or have one by a person."""
        query = (
            select(func.count())
            .select_from(RowLabel)
            .join(DatasetRow, DatasetRow.id == RowLabel.row_id)
            .where(labels.of(RowLabel), RowLabel.label.is_not(None))
        )
        if part:
            query = query.where(DatasetRow.part == part)
        if human:
            query = query.where(RowLabel.label_source == "human")
        return self._database.scalar(query) or 0

    def reviewed_draw(self, labels: LabelSet) -> int:
        """How many training rows were drawn at random, judged, and labelled by people."""
        query = (
            select(func.count())
            .select_from(RowLabel)
            .join(DatasetRow, DatasetRow.id == RowLabel.row_id)
            .where(labels.of(RowLabel), RowLabel.label_source == "human")
            .where(RowLabel.selection == "random", RowLabel.judge_label.is_not(None))
            .where(DatasetRow.part == "train")
        )
        return self._database.scalar(query) or 0

    def split(self, which: AnyDataset, *, test_size: float, seed: int = 0) -> list[str]:
        """Holds out a test set; see `datasets.split.split_dataset`."""
        dataset = self.get(which)
        return split_dataset(self._database, self, dataset, test_size=test_size, seed=seed)


def _checked_name(name: str) -> str:
    """A data set's name with single spaces.

    Raises:
        WorkspaceError: The name is not allowed.
    """
    name = " ".join(name.split())
    if not _NAME.fullmatch(name):
        raise WorkspaceError(
            f"{name[:80]!r} can't be a data set's name: begin with a letter or digit, and use "
            "letters, digits, spaces and . , ( ) + - _, at most 80 characters"
        )
    return name


def _filtered(
    labels: LabelSet, only: str
) -> tuple[Select[DatasetRow, RowLabel], InstrumentedAttribute[int]]:
    """A query of rows with their labels by a filter, and the column that orders it."""
    rows = select_rows(labels)
    # By the index of `row_labels`, for a few labelled rows among many.
    join = RowLabel.row_id == DatasetRow.id
    labelled = select(DatasetRow, RowLabel).join(RowLabel, join).where(labels.of(RowLabel))
    match only:
        case "all":
            return rows, DatasetRow.position
        case "unlabelled":
            return rows.where(func.coalesce(RowLabel.label_source, "") == ""), DatasetRow.position
        case "human" | "judge" | "other":
            return labelled.where(RowLabel.label_source == only), RowLabel.position
        case "disputed":
            return labelled.where(RowLabel.disputed.is_(True)), RowLabel.position
        case "test":
            return rows.where(DatasetRow.part == "test"), DatasetRow.position
    raise WorkspaceError(f"there is no filter {only!r} for rows, only {', '.join(FILTERS)}")
