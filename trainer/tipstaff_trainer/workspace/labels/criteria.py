"""Criteria: what is judged, in words, in versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

from pydantic import ValidationError
from sqlalchemy import func, select

from tipstaff.types import FIELDS
from tipstaff_trainer.data.columns import field_of, listed
from tipstaff_trainer.data.rows import text_hash
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.criteria import JudgeCriterion, builtin_criteria
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import MOST_EXTRA, Dataset, StoredCriterion
from tipstaff_trainer.workspace.db.rows import StoredRow, to_data_row


class Criteria:
    """The criteria of a workspace, together with those that come with Tipstaff."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[StoredCriterion]:
        """The latest version of each, by name; version 0 is built in."""
        latest = select(func.max(StoredCriterion.id)).group_by(StoredCriterion.name)
        query = select(StoredCriterion).where(StoredCriterion.id.in_(latest))
        own = {each.name: each for each in self._database.scalars(query)}
        built_in = {name: _built_in(each) for name, each in builtin_criteria().items()}
        return [each for _, each in sorted((built_in | own).items())]

    def get(self, name: str, version: int | None = None) -> StoredCriterion:
        """One criterion; its latest version if `version` is None.

        Raises:
            WorkspaceError: There is no such criterion or version.
        """
        query = select(StoredCriterion).where(StoredCriterion.name == name)
        if version is not None:
            query = query.where(StoredCriterion.version == version)
        latest = query.order_by(StoredCriterion.version.desc()).limit(1)
        criterion = self._database.scalar(latest)
        built_in = builtin_criteria().get(name)
        if criterion is None and built_in is not None and not version:
            criterion = _built_in(built_in)
        if criterion is None:
            names = ", ".join(each.name for each in self.all())
            raise WorkspaceError(f"there is no criterion {name!r}: there are {names}")
        return criterion

    def of_template(self, template: str, name: str | None = None, *, who: str = "") -> str:
        """The name of the criterion that a prompt template stands for.

        Args:
            template: A criterion's name in any spelling, as "answer correctness", or a question
                with columns in braces, which is saved unless it is known.
            name: What to save a question under; made from its text when None.
            who: The person who brings it.

        Raises:
            WorkspaceError: There is no such criterion, or the question can't be used.
        """
        if "{" not in template:
            spelling = re.sub(r"[\s_]+", "-", template.strip().casefold())
            return self.get(spelling.replace("summariz", "summaris")).name
        if name is None:
            name = f"prompt-{text_hash([template.strip()])[:8]}"
        first = re.split(r"(?<=[.!?])\s", " ".join(template.split()), maxsplit=1)[0]
        with suppress(WorkspaceError):
            if self.get(name).prompt.strip() == template.strip():
                return name
        return self.save(name, criterion=first[:200], prompt=template, who=who).name

    def save(self, name: str, *, criterion: str, prompt: str, who: str = "") -> StoredCriterion:
        """Saves a criterion's next version; existing labels keep the version they used.

        Args:
            name: As an evaluator's name: a-z, 0-9 and -.
            criterion: The criterion in words; a label of 1 means that it holds.
            prompt: The question to the judge; a column's name in braces stands for its text.
            who: The person who saves it.

        Raises:
            WorkspaceError: The name, the words or the prompt can't be used.
        """
        draft = StoredCriterion(name=name, criterion=criterion, prompt=prompt)
        stored = StoredCriterion(**to_judge_criterion(draft).model_dump(), author=who)
        versions = select(func.max(StoredCriterion.version)).where(StoredCriterion.name == name)
        with self._database.writing() as session:
            stored.version = (session.scalar(versions) or 0) + 1
            session.add(stored)
        return stored


def to_judge_criterion(stored: StoredCriterion) -> JudgeCriterion:
    """A criterion in the judge's form.

    Raises:
        WorkspaceError: The name, the words or the prompt can't be used.
    """
    try:
        return JudgeCriterion(name=stored.name, criterion=stored.criterion, prompt=stored.prompt)
    except ValidationError as error:
        first = error.errors()[0]
        fields = {"name": "the name", "criterion": "the criterion in words", "prompt": "the prompt"}
        reason = first["msg"].removeprefix("Value error, ")
        if first["loc"] == ("name",):
            reason = "use a-z, 0-9 and -, at most 63, and begin with a letter or digit"
        raise WorkspaceError(f"{fields.get(str(first['loc'][0]), 'it')}: {reason}") from None


def missing_columns(criterion: StoredCriterion, dataset: Dataset) -> list[str]:
    """The columns that a criterion's question uses and that no row of a data set has a text in."""
    columns = to_judge_criterion(criterion).columns
    known = {*dataset.fields, *dataset.extra}
    # A data set with very many columns doesn't know all their names; then the labelling job checks
    # other columns row by row.
    checkable = FIELDS if len(dataset.extra) >= MOST_EXTRA else columns
    return [
        name
        for name in columns
        if name in checkable and name not in known and field_of(name) not in known
    ]


def check_columns(criterion: StoredCriterion, dataset: Dataset) -> None:
    """Checks that a data set has the columns that a criterion's question uses.

    Raises:
        WorkspaceError: No row has a text in one of them.
    """
    if missing := missing_columns(criterion, dataset):
        raise WorkspaceError(
            f"{dataset.name}: the question of criterion {criterion.name} uses "
            f"{' and '.join(f'{{{name}}}' for name in missing)}, but no row has a text there. The "
            f"data set has {listed((*dataset.fields, *dataset.extra))}: upload the file again with "
            "such a column, or choose another criterion"
        )


def preview(criterion: StoredCriterion, row: StoredRow) -> str:
    """The question that a judge would be asked about a row."""
    return to_judge_criterion(criterion).render(to_data_row(row))


def _built_in(criterion: JudgeCriterion) -> StoredCriterion:
    return StoredCriterion(**criterion.model_dump(), version=0, author="Tipstaff")
