"""Named cases, kept with a criterion until an evaluator is trained for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select

from tipstaff_server.evaluator.cases import Case, Outcome
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import NamedCase

_FIELDS = tuple(Case.model_fields)


def told(outcome: Outcome) -> dict[str, Any]:
    """What became of a case, as a training's result keeps it and pages show it."""
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
        """A criterion's cases in the order they were added."""
        query = select(NamedCase).where(NamedCase.criterion == criterion).order_by(NamedCase.id)
        with self._database.reading() as session:
            return tuple(
                Case.model_validate({name: getattr(each, name) for name in _FIELDS})
                for each in session.scalars(query)
            )

    def counts(self) -> Mapping[str, int]:
        """How many cases each criterion has that has any."""
        query = select(NamedCase.criterion, func.count()).group_by(NamedCase.criterion)
        with self._database.reading() as session:
            return dict(session.execute(query).all())

    def add(self, criterion: str, cases: Sequence[Case], *, who: str = "") -> int:
        """Keeps cases; one that has another's name takes its place.

        Returns:
            How many took another's place.

        Raises:
            WorkspaceError: They can't be stored.
        """
        with self._database.writing() as session:
            replaced = 0
            for case in cases:
                before = session.scalar(
                    select(NamedCase).where(
                        NamedCase.criterion == criterion, NamedCase.name == case.name
                    )
                )
                kept = before or NamedCase(criterion=criterion)
                replaced += before is not None
                for name in _FIELDS:
                    setattr(kept, name, getattr(case, name))
                kept.author = who
                session.add(kept)
            return replaced

    def remove(self, criterion: str, name: str) -> None:
        """Takes a case away; versions that were trained with it keep it.

        Raises:
            WorkspaceError: There is none of that name.
        """
        with self._database.writing() as session:
            removed = session.scalars(
                delete(NamedCase)
                .where(NamedCase.criterion == criterion, NamedCase.name == name)
                .returning(NamedCase.id)
            ).all()
            if not removed:
                raise WorkspaceError(f"{criterion}: there is no named case {name[:200]!r}")
