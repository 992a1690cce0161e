"""Data sets: pages of their rows, their labels, splits; `storing` brings rows in and out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, or_, select, update

from tipstaff.types import Interaction
from tipstaff_trainer.data import Data, check_split, split_rows
from tipstaff_trainer.data import Row as LabelledRow
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import search
from tipstaff_trainer.workspace.database import Database
from tipstaff_trainer.workspace.storing import copy, hide, store, sweep
from tipstaff_trainer.workspace.tables import Dataset, Label, Row

_AT_ONCE = 2000
# The states of those that people know of.
_SHOWN = ("ready", "archived")
_NAME = re.compile(r"[^\W_][\w .,()+-]{0,79}")
# What a page of rows can be narrowed to, by its name in the address.
FILTERS = ("all", "unlabelled", "human", "judge", "other", "disputed", "test")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in their order, and the positions from which the pages beside it start."""

    rows: Sequence[Row]
    before: int | None
    after: int | None


class Datasets:
    """The data sets of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, data: Data, *, file: str = "", who: str = "") -> Dataset:
        """Stores a file's rows, and its labels with who gave them.

        Args:
            name: Of the new data set.
            data: As `data.read_rows` read it, unlabelled rows too.
            file: What its owner calls it.
            who: Whoever brings it.

        Raises:
            WorkspaceError: The name is taken or none, or there is no room.
        """
        return self.get(store(self._database, _named(name), data, file=file, who=who))

    def copy(self, dataset: int, name: str, *, criterion: str = "", who: str = "") -> Dataset:
        """Stores the same rows once more, unlabelled, to be judged by another criterion.

        Raises:
            WorkspaceError: The name is taken or none, or there is no room.
        """
        source = self.get(dataset)
        return self.get(copy(self._database, source, _named(name), criterion=criterion, who=who))

    def all(self, *, words: str = "", archived: bool = False) -> Sequence[Dataset]:
        """Every data set, the newest first.

        Args:
            words: Only those whose name, file or criterion holds each of these.
            archived: Those that are laid aside, instead of the others.
        """
        query = select(Dataset).where(Dataset.state == ("archived" if archived else "ready"))
        for word in words.split():
            query = query.where(
                or_(
                    *(
                        column.icontains(word, autoescape=True)
                        for column in (Dataset.name, Dataset.file, Dataset.criterion)
                    )
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
        dataset: int,
        *,
        only: str = "all",
        words: str = "",
        after: int = -1,
        before: int | None = None,
        size: int = 50,
    ) -> Page:
        """Some rows, by position: those after one, or those before one.

        Args:
            dataset: Which.
            only: One of `FILTERS`.
            words: Only rows with all of these in their texts, or words that begin so.
            after: The position that the page comes after.
            before: The position that it comes before, instead.
            size: Rows at most.
        """
        query = _narrowed(dataset, only)
        holds = search.holding(words, dataset, sqlite=self._database.is_sqlite)
        if holds is not None:
            query = query.where(holds)
        with self._database.reading() as session:
            if before is not None:
                backwards = query.where(Row.position < before).order_by(Row.position.desc())
                rows = session.scalars(backwards.limit(size + 1)).all()
                more, rows = len(rows) > size, list(reversed(rows[:size]))
                return Page(
                    rows,
                    rows[0].position if more else None,
                    rows[-1].position if rows else None,
                )
            rows = session.scalars(
                query.where(Row.position > after).order_by(Row.position).limit(size + 1)
            ).all()
            more, shown = len(rows) > size, rows[:size]
            return Page(
                shown,
                shown[0].position if shown and after >= 0 else None,
                shown[-1].position if more else None,
            )

    def row(self, row_id: int) -> Row:
        """One row.

        Raises:
            WorkspaceError: There is none.
        """
        with self._database.reading() as session:
            found = session.get(Row, row_id)
        if found is None:
            raise WorkspaceError(f"there is no row {row_id}")
        return found

    def labels(self, row_id: int) -> Sequence[Label]:
        """A row's labels in the order they were given."""
        with self._database.reading() as session:
            return session.scalars(
                select(Label).where(Label.row_id == row_id).order_by(Label.id)
            ).all()

    def labels_of(self, rows: Sequence[Row]) -> dict[int, list[Label]]:
        """The labels of some rows, by row, in the order they were given."""
        found: dict[int, list[Label]] = {row.id: [] for row in rows}
        with self._database.reading() as session:
            query = select(Label).where(Label.row_id.in_(found)).order_by(Label.id)
            for label in session.scalars(query):
                found[label.row_id].append(label)
        return found

    def rows(self, dataset: int, *, only: str = "all") -> Iterator[Row]:
        """All rows in their order, a few at a time, so that memory stays flat."""
        position = -1
        while True:
            page = self.page(dataset, only=only, after=position, size=_AT_ONCE)
            yield from page.rows
            if page.after is None:
                return
            position = page.after

    def labelled(self, dataset: int, *, part: str = "") -> list[LabelledRow]:
        """The rows with a label that stands, as training takes them; of one part, if named."""
        return [
            as_labelled(row)
            for row in self.rows(dataset)
            if row.label is not None and part in ("", row.part)
        ]

    def split(self, dataset: int, *, test_size: float, seed: int = 0) -> list[str]:
        """Sets rows aside for testing, whole groups on one side; a new split replaces the old.

        Args:
            dataset: Which.
            test_size: Share of the rows, in (0, 1).
            seed: Of the draw.

        Returns:
            What a user should know about it.

        Raises:
            DataError: They can't be split.
        """
        rows = [as_labelled(row) for row in self.rows(dataset)]
        rest, test = split_rows(rows, test_size, seed=seed)
        keys = [row.id for row in test]
        with self._database.writing() as session:
            session.execute(
                update(Row)
                .where(Row.dataset_id == dataset, Row.part == "test")
                .values(part="train")
            )
            for start in range(0, len(keys), 500):
                session.execute(
                    update(Row)
                    .where(Row.dataset_id == dataset, Row.key.in_(keys[start : start + 500]))
                    .values(part="test")
                )
            session.execute(update(Dataset).where(Dataset.id == dataset).values(test=len(keys)))
        known = [[row for row in side if row.labelled] for side in (rest, test)]
        return check_split(known[0], known[1], test_size, name="test") if all(known) else []

    def set_criterion(self, dataset: int, criterion: str) -> None:
        """Says by which criterion the rows are judged."""
        with self._database.writing() as session:
            session.execute(
                update(Dataset).where(Dataset.id == dataset).values(criterion=criterion)
            )


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


def interaction_of(row: Row) -> Interaction:
    """A stored row's texts."""
    return Interaction(row.input, row.output, row.ground_truth)


def as_labelled(row: Row) -> LabelledRow:
    """A stored row as training takes it; NaN is its label where none stands."""
    return LabelledRow(
        interaction=interaction_of(row),
        label=math.nan if row.label is None else row.label,
        id=row.key,
        weight=row.weight,
        group=row.group,
        label_source=row.label_source or "other",  # type: ignore[arg-type]
        selection=row.selection,  # type: ignore[arg-type]
        extra=row.extra,
        place=f"row {row.position + 1}",
    )


def _narrowed(dataset: int, only: str) -> Select[Row]:
    query = select(Row).where(Row.dataset_id == dataset)
    match only:
        case "all":
            return query
        case "unlabelled":
            return query.where(Row.label_source == "")
        case "human" | "judge" | "other":
            return query.where(Row.label_source == only)
        case "disputed":
            return query.where(Row.disputed.is_(True))
        case "test":
            return query.where(Row.part == "test")
    raise WorkspaceError(f"rows can't be narrowed to {only!r}, only to {', '.join(FILTERS)}")
