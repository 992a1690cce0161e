"""Data sets: pages of their rows, their labels, splits; `storing` brings rows in and out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from tipstaff_trainer.data import Data, Row, check_split, split_rows
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.workspace.datasets.ingest import hide, store, sweep
from tipstaff_trainer.workspace.db import full_text
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import Dataset, DatasetRow, Label, LabelSet, RowLabel
from tipstaff_trainer.workspace.db.rows import StoredRow, as_labelled, labelled_by, stored

_AT_ONCE = 2000
# Of rows that are asked for by number or key: databases take only so many values.
_NAMED_AT_ONCE = 500
# The states of those that people know of.
_SHOWN = ("ready", "archived")
_NAME = re.compile(r"[^\W_][\w .,()+-]{0,79}")
# What a page of rows can be narrowed to, by its name in the address.
FILTERS = ("all", "unlabelled", "human", "judge", "other", "disputed", "test")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in their order, and the positions from which the pages beside it start."""

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
        """Stores a file's rows, and its labels with who gave them.

        Args:
            name: Of the new data set.
            data: As `data.read_rows` read it, unlabelled rows too.
            file: What its owner calls it.
            criterion: What its labels were given by; empty where nobody says.
            who: Whoever brings it.

        Raises:
            WorkspaceError: The name is taken or none, or there is no room.
        """
        name = _named(name)
        return self.get(store(self._database, name, data, file=file, criterion=criterion, who=who))

    def all(self, *, words: str = "", archived: bool = False) -> Sequence[Dataset]:
        """Every data set, the newest first.

        Args:
            words: Only those whose name, file or criterion holds each of these.
            archived: Those that are laid aside, instead of the others.
        """
        query = select(Dataset).where(Dataset.state == ("archived" if archived else "ready"))
        for word in words.split():
            by = LabelSet.criterion.icontains(word, autoescape=True)
            query = query.where(
                or_(
                    Dataset.name.icontains(word, autoescape=True),
                    Dataset.file.icontains(word, autoescape=True),
                    Dataset.id.in_(select(LabelSet.dataset_id).where(by)),
                )
            )
        with self._database.reading() as session:
            return session.scalars(query.order_by(Dataset.id.desc())).all()

    def archive(self, dataset: int, *, back: bool = False) -> None:
        """Lays a data set aside, or brings it back; nothing of it is lost."""
        with self._database.writing() as session:
            session.execute(
                update(Dataset)
                .where(Dataset.id == dataset, Dataset.state.in_(_SHOWN))
                .values(state="ready" if back else "archived")
            )

    def delete(self, dataset: int) -> None:
        """Has a data set gone with all its labels; `sweep` frees the room that it took.

        Raises:
            WorkspaceError: It is not in the archive, or a job works on it.
        """
        hide(self._database, self.get(dataset))

    def sweep(self) -> None:
        """Frees the room of what was deleted, and of uploads that never came to an end."""
        sweep(self._database)

    def get(self, which: int | str | Dataset) -> Dataset:
        """One data set by number or name, as it stands now.

        Raises:
            WorkspaceError: There is none.
        """
        key = which.id if isinstance(which, Dataset) else which
        with self._database.reading() as session:
            found = session.scalar(
                select(Dataset).where(
                    Dataset.id == key if isinstance(key, int) else Dataset.name == key,
                    Dataset.state.in_(_SHOWN),
                )
            )
            if found is None:
                shown = select(Dataset.name).where(Dataset.state == "ready")
                names = ", ".join(session.scalars(shown.limit(20)))
                raise WorkspaceError(
                    f"there is no data set {key!r}" + (f", only {names}" if names else " yet")
                )
            return found

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
        """Some rows, by position: those after one, or those before one.

        Args:
            labels: Which labels they are shown with.
            only: One of `FILTERS`.
            words: Only rows with all of these in their texts, or words that begin so.
            after: The position that the page comes after.
            before: The position that it comes before, instead.
            size: Rows at most.
        """
        query, position = _narrowed(labels, only)
        holds = full_text.contains(words, labels.dataset_id, sqlite=self._database.is_sqlite)
        if holds is not None:
            query = query.where(holds)
        if before is None:
            query = query.where(position > after).order_by(position)
        else:
            query = query.where(position < before).order_by(position.desc())
        with self._database.reading() as session:
            found = [stored(*each) for each in session.execute(query.limit(size + 1))]
        more, rows = len(found) > size, found[:size]
        if before is not None:
            rows.reverse()
            return Page(
                rows, rows[0].position if more else None, rows[-1].position if rows else None
            )
        return Page(
            rows,
            rows[0].position if rows and after >= 0 else None,
            rows[-1].position if more else None,
        )

    def row(self, row_id: int, labels: LabelSet) -> StoredRow:
        """One row of a data set.

        Raises:
            WorkspaceError: There is none.
        """
        query = (
            select(DatasetRow, RowLabel)
            .outerjoin(RowLabel, labelled_by(labels.criterion))
            .where(DatasetRow.id == row_id, DatasetRow.dataset_id == labels.dataset_id)
        )
        with self._database.reading() as session:
            found = session.execute(query).one_or_none()
        if found is None:
            raise WorkspaceError(f"there is no row {row_id} in {labels.dataset.name}")
        return stored(*found)

    def some(self, row_ids: Sequence[int], labels: LabelSet) -> Iterator[StoredRow]:
        """Some rows of a data set in the order given, a few at a time; none that is gone."""
        query = (
            select(DatasetRow, RowLabel)
            .outerjoin(RowLabel, labelled_by(labels.criterion))
            .where(DatasetRow.dataset_id == labels.dataset_id)
        )
        for start in range(0, len(row_ids), _NAMED_AT_ONCE):
            these = row_ids[start : start + _NAMED_AT_ONCE]
            with self._database.reading() as session:
                rows = session.execute(query.where(DatasetRow.id.in_(these)))
                found = {row.id: stored(row, label) for row, label in rows}
            yield from (found[row_id] for row_id in these if row_id in found)

    def text(self, row_id: int) -> DatasetRow:
        """One row of any data set, for its texts.

        Raises:
            WorkspaceError: There is none.
        """
        with self._database.reading() as session:
            found = session.get(DatasetRow, row_id)
        if found is None:
            raise WorkspaceError(f"there is no row {row_id}")
        return found

    def labels(self, row_id: int, labels: LabelSet) -> Sequence[Label]:
        """A row's labels in the order they were given."""
        with self._database.reading() as session:
            return session.scalars(
                select(Label).where(Label.row_id == row_id, labels.of(Label)).order_by(Label.id)
            ).all()

    def labels_of(self, rows: Sequence[StoredRow], labels: LabelSet) -> dict[int, list[Label]]:
        """The labels of some rows, by row, in the order they were given."""
        found: dict[int, list[Label]] = {row.id: [] for row in rows}
        query = select(Label).where(Label.row_id.in_(found), labels.of(Label)).order_by(Label.id)
        with self._database.reading() as session:
            for label in session.scalars(query):
                found[label.row_id].append(label)
        return found

    def rows(self, labels: LabelSet, *, only: str = "all") -> Iterator[StoredRow]:
        """All rows in their order, a few at a time, so that memory stays flat."""
        position = -1
        while True:
            page = self.page(labels, only=only, after=position, size=_AT_ONCE)
            yield from page.rows
            if page.after is None:
                return
            position = page.after

    def labelled(self, labels: LabelSet, *, part: str = "") -> list[Row]:
        """The rows with a label that stands, as training takes them; of one part, if named."""
        return [
            as_labelled(row)
            for row in self.rows(labels)
            if row.label is not None and part in ("", row.part)
        ]

    def reviewed_draw(self, labels: LabelSet) -> int:
        """How many of a judge's rows to train on were drawn at random and labelled by people."""
        query = (
            select(func.count())
            .select_from(RowLabel)
            .join(DatasetRow, DatasetRow.id == RowLabel.row_id)
            .where(
                labels.of(RowLabel), RowLabel.label_source == "human", DatasetRow.part == "train"
            )
            .where(RowLabel.selection == "random", RowLabel.judge_label.is_not(None))
        )
        with self._database.reading() as session:
            return session.scalar(query) or 0

    def split(self, dataset: Dataset, *, test_size: float, seed: int = 0) -> list[str]:
        """Sets rows aside for testing, whole groups on one side; a new split replaces the old.

        They are set aside by whatever criterion; the classes that both sides have like shares of
        are those of the criterion with most labels.

        Args:
            dataset: Which.
            test_size: Share of the rows, in (0, 1).
            seed: Of the draw.

        Returns:
            What a user should know about it.

        Raises:
            DataError: They can't be split, or all rows of a class would be among those set aside.
        """
        most = max(dataset.label_sets, key=lambda each: each.labelled)
        rows = [as_labelled(row) for row in self.rows(most)]
        _, test = split_rows(rows, test_size, seed=seed)
        keys = [row.id for row in test]
        warnings = _check_split(rows, keys, test_size)
        for labels in dataset.label_sets:
            if labels is not most:
                # Perhaps of a few labels, which are no reason to split otherwise.
                try:
                    found = _check_split(self.labelled(labels), keys, test_size)
                except DataError as error:
                    found = [str(error)]
                warnings += [f"{labels.criterion}: {each}" for each in found]
        with self._database.writing() as session:
            session.execute(
                update(DatasetRow)
                .where(DatasetRow.dataset_id == dataset.id, DatasetRow.part == "test")
                .values(part="train")
            )
            for start in range(0, len(keys), _NAMED_AT_ONCE):
                session.execute(
                    update(DatasetRow)
                    .where(
                        DatasetRow.dataset_id == dataset.id,
                        DatasetRow.key.in_(keys[start : start + _NAMED_AT_ONCE]),
                    )
                    .values(part="test")
                )
            session.execute(update(Dataset).where(Dataset.id == dataset.id).values(test=len(keys)))
        return warnings


def _check_split(rows: Sequence[Row], test: Collection[str], size: float) -> list[str]:
    test, known = frozenset(test), [row for row in rows if row.labelled]
    sides = [[row for row in known if (row.id in test) is side] for side in (False, True)]
    return check_split(sides[0], sides[1], size, name="test") if all(sides) else []


def _named(name: str) -> str:
    """A data set's name without needless spaces.

    Raises:
        WorkspaceError: It is none.
    """
    name = " ".join(name.split())
    if not _NAME.fullmatch(name):
        raise WorkspaceError(
            f"{name[:80]!r} is no name for a data set: begin with a letter or digit, and use "
            "letters, digits, spaces and . , ( ) + - _, 80 at most"
        )
    return name


def _narrowed(
    labels: LabelSet, only: str
) -> tuple[Select[DatasetRow, RowLabel], InstrumentedAttribute[int]]:
    """The rows of a kind with what stands of their labels, and the column that they go by."""
    query = select(DatasetRow, RowLabel).where(DatasetRow.dataset_id == labels.dataset_id)
    every = query.outerjoin(RowLabel, labelled_by(labels.criterion))
    # By an index of theirs, where rows with some label are few among many.
    labelled = query.join(RowLabel, RowLabel.row_id == DatasetRow.id).where(labels.of(RowLabel))
    match only:
        case "all":
            return every, DatasetRow.position
        case "unlabelled":
            return every.where(func.coalesce(RowLabel.label_source, "") == ""), DatasetRow.position
        case "human" | "judge" | "other":
            return labelled.where(RowLabel.label_source == only), RowLabel.position
        case "disputed":
            return labelled.where(RowLabel.disputed.is_(True)), RowLabel.position
        case "test":
            return every.where(DatasetRow.part == "test"), DatasetRow.position
    raise WorkspaceError(f"rows can't be narrowed to {only!r}, only to {', '.join(FILTERS)}")
