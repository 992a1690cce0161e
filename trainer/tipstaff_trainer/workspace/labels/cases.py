"""Named cases, kept with a criterion and copied into the evaluators trained for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select

from tipstaff_server.evaluator.cases import Case, Outcome
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import NamedCase

_FIELDS = tuple(Case.model_fields)


def outcome_values(outcome: Outcome) -> dict[str, Any]:
    """A case's outcome as plain values, for a job's result and for pages."""
    return {
        "name": outcome.case.name,
        "expect": outcome.case.expect,
        "verdict": str(outcome.verdict),
        "score": outcome.score,
        "met": outcome.met,
    }


class Cases:
    """The named cases of a workspace, by the criterion's name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, criterion: str) -> tuple[Case, ...]:
        """A criterion's cases, oldest first."""
        query = select(NamedCase).where(NamedCase.criterion == criterion).order_by(NamedCase.id)
        return tuple(
            Case.model_validate({name: getattr(each, name) for name in _FIELDS})
            for each in self._database.scalars(query)
        )

    def counts(self) -> Mapping[str, int]:
        """The number of cases by criterion, without criteria that have none."""
        query = select(NamedCase.criterion, func.count()).group_by(NamedCase.criterion)
        return dict(self._database.rows(query))

    def add(self, criterion: str, cases: Sequence[Case], *, who: str = "") -> int:
        """Stores cases; a case replaces the one with its name.

        Returns:
            How many cases replaced another.

        Raises:
            WorkspaceError: The cases can't be stored.
        """
        with self._database.writing() as session:
            stored = session.scalars(select(NamedCase).where(NamedCase.criterion == criterion))
            by_name = {each.name: each for each in stored}
            replaced = 0
            for case in cases:
                replaced += case.name in by_name
                named_case = by_name.setdefault(case.name, NamedCase(criterion=criterion))
                for name in _FIELDS:
                    setattr(named_case, name, getattr(case, name))
                named_case.author = who
            session.add_all(by_name.values())
            return replaced

    def remove(self, criterion: str, name: str) -> None:
        """Removes a case; versions that were trained with it keep it.

        Raises:
            WorkspaceError: There is no case of that name.
        """
        with self._database.writing() as session:
            removed = session.scalars(
                delete(NamedCase)
                .where(NamedCase.criterion == criterion, NamedCase.name == name)
                .returning(NamedCase.id)
            ).all()
            if not removed:
                raise WorkspaceError(f"{criterion}: there is no named case {name[:200]!r}")
