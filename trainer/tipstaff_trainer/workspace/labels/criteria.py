"""Criteria: what is judged, in words, in versions."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from sqlalchemy import func, select

from tipstaff.types import FIELDS
from tipstaff_trainer.data.columns import listed
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge import criteria as judge_criteria
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import MOST_EXTRA, Dataset, StoredCriterion
from tipstaff_trainer.workspace.db.rows import StoredRow, as_labelled


class Criteria:
    """The criteria of a workspace; those that come with Tipstaff are there from the start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[StoredCriterion]:
        """The latest version of each, by name; version 0 is as it comes with Tipstaff."""
        latest = select(func.max(StoredCriterion.id)).group_by(StoredCriterion.name)
        with self._database.reading() as session:
            own = {
                each.name: each
                for each in session.scalars(
                    select(StoredCriterion).where(StoredCriterion.id.in_(latest))
                )
            }
        built_in = {
            name: _shipped(each) for name, each in judge_criteria.builtin_criteria().items()
        }
        return [each for _, each in sorted((built_in | own).items())]

    def get(self, name: str, version: int | None = None) -> StoredCriterion:
        """One criterion, the latest version where none is named.

        Raises:
            WorkspaceError: There is none.
        """
        query = (
            select(StoredCriterion)
            .where(StoredCriterion.name == name)
            .order_by(StoredCriterion.version.desc())
        )
        if version is not None:
            query = query.where(StoredCriterion.version == version)
        with self._database.reading() as session:
            found = session.scalar(query.limit(1))
        shipped = judge_criteria.builtin_criteria().get(name)
        if found is None and shipped is not None and not version:
            found = _shipped(shipped)
        if found is None:
            names = ", ".join(each.name for each in self.all())
            raise WorkspaceError(f"there is no criterion {name!r}: there are {names}")
        return found

    def save(self, name: str, *, criterion: str, prompt: str, who: str = "") -> StoredCriterion:
        """Writes a criterion's next version; labels keep to the version they were given by.

        Args:
            name: As an evaluator's: a-z, 0-9 and -.
            criterion: What is judged, in words; 1 is always good.
            prompt: The judge's question, with the names of columns in braces.
            who: Whoever writes it.

        Raises:
            WorkspaceError: The name, the words or the prompt won't do.
        """
        checked = judge_form(name, criterion, prompt)
        with self._database.writing() as session:
            last = session.scalar(
                select(func.max(StoredCriterion.version)).where(StoredCriterion.name == name)
            )
            saved = StoredCriterion(
                name=checked.name,
                version=(last or 0) + 1,
                criterion=checked.criterion,
                prompt=checked.prompt,
                author=who,
            )
            session.add(saved)
            return saved


def judge_form(name: str, criterion: str, prompt: str) -> judge_criteria.Criterion:
    """A criterion as a judge takes it.

    Raises:
        WorkspaceError: The name, the words or the prompt won't do.
    """
    try:
        return judge_criteria.Criterion(name=name, criterion=criterion, prompt=prompt)
    except ValidationError as error:
        first = error.errors()[0]
        what = {"name": "the name", "criterion": "the criterion in words", "prompt": "the prompt"}
        why = first["msg"].removeprefix("Value error, ")
        if first["loc"] == ("name",):
            why = "use a-z, 0-9 and -, 63 at most, and begin with a letter or digit"
        raise WorkspaceError(f"{what.get(str(first['loc'][0]), 'it')}: {why}") from None


def lacking(criterion: StoredCriterion, dataset: Dataset) -> list[str]:
    """The columns that a criterion's question names and no row of a data set has a text in."""
    named = judge_form(criterion.name, criterion.criterion, criterion.prompt).columns
    known = {*dataset.fields, *dataset.extra}
    # Of very many columns not all are known by name: then a job looks at the rows themselves.
    told = FIELDS if len(dataset.extra) >= MOST_EXTRA else named
    return [name for name in named if name in told and name not in known]


def check_columns(criterion: StoredCriterion, dataset: Dataset) -> None:
    """Checks that a judge can be asked about a data set's rows.

    Raises:
        WorkspaceError: They lack a column that the criterion's question names.
    """
    if missing := lacking(criterion, dataset):
        raise WorkspaceError(
            f"{dataset.name}: the question of criterion {criterion.name} names "
            f"{' and '.join(f'{{{name}}}' for name in missing)}, and no row has a text there; "
            f"there are {listed((*dataset.fields, *dataset.extra))}. Bring the file again with "
            "such a column, or ask by another criterion"
        )


def preview(criterion: StoredCriterion, row: StoredRow) -> str:
    """What a judge would be asked about a row."""
    form = judge_form(criterion.name, criterion.criterion, criterion.prompt)
    return form.render(as_labelled(row))


def _shipped(form: judge_criteria.Criterion) -> StoredCriterion:
    return StoredCriterion(
        name=form.name, version=0, criterion=form.criterion, prompt=form.prompt, author="Tipstaff"
    )
