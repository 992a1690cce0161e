"""What evaluators say of a data set's rows, kept so that rows can be chosen by it.

An evaluator says the same of a row whatever the row is judged by; what the other rows say goes by
their labels, so that it is kept by criterion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, and_, delete, func, insert, select

from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import DatasetRow, LabelSet, RowScore, Table

# An evaluator's name and version.
ScoredBy = tuple[str, int]
# Scores that no evaluator gave: each row's label as the other rows would have it.
OTHER_ROWS: ScoredBy = ("", 0)


def stored_as(criterion: str, name: str, version: int) -> ScoredBy:
    """What `RowScore` calls whoever gave scores."""
    return (name or f"~{criterion}"), version


class Scores:
    """The scores of a workspace, by data set and version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def given(self, labels: LabelSet) -> dict[ScoredBy, int]:
        """Who has scored a data set, and how many of its rows so far.

        What the other rows say is that by the criterion of these labels.
        """
        query = (
            select(RowScore.evaluator, RowScore.version, func.count())
            .where(RowScore.dataset_id == labels.dataset_id)
            .group_by(RowScore.evaluator, RowScore.version)
        )
        with self._database.reading() as session:
            counted = {(name, version): count for name, version, count in session.execute(query)}
        ours = counted.get(stored_as(labels.criterion, *OTHER_ROWS))
        by_evaluators = {by: count for by, count in counted.items() if not by[0].startswith("~")}
        return by_evaluators | ({OTHER_ROWS: ours} if ours else {})

    def missing(
        self, labels: LabelSet, by: ScoredBy, *, after: int = -1, limit: int
    ) -> Sequence[DatasetRow]:
        """Rows that somebody has not scored yet, in their order, after a position."""
        scored = and_(given_by(labels, by), RowScore.row_id == DatasetRow.id)
        with self._database.reading() as session:
            return session.scalars(
                select(DatasetRow)
                .outerjoin(RowScore, scored)
                .where(
                    DatasetRow.dataset_id == labels.dataset_id,
                    DatasetRow.position > after,
                    RowScore.row_id.is_(None),
                )
                .order_by(DatasetRow.position)
                .limit(limit)
            ).all()

    def forget(self, labels: LabelSet, by: ScoredBy) -> None:
        """Takes somebody's scores of a data set away, as they are about to be given anew."""
        with self._database.writing() as session:
            session.execute(delete(RowScore).where(given_by(labels, by)))

    def add(self, labels: LabelSet, by: ScoredBy, scores: Mapping[int, float | None]) -> None:
        """Keeps scores of rows that have none by the same version yet.

        Args:
            labels: Of the rows.
            by: Who gave them.
            scores: By row, in [0, 1]; None where there is nothing to be read.

        Raises:
            WorkspaceError: They can't be stored.
        """
        name, version = stored_as(labels.criterion, *by)
        values = [
            {
                "dataset_id": labels.dataset_id,
                "evaluator": name,
                "version": version,
                "row_id": row,
                "score": score,
            }
            for row, score in scores.items()
        ]
        if values:
            with self._database.writing() as session:
                session.connection().execute(
                    insert(Table.metadata.tables[RowScore.__tablename__]), values
                )


def given_by(labels: LabelSet, by: ScoredBy) -> ColumnElement[bool]:
    """The condition that a score is somebody's of a data set."""
    name, version = stored_as(labels.criterion, *by)
    return and_(
        RowScore.dataset_id == labels.dataset_id,
        RowScore.evaluator == name,
        RowScore.version == version,
    )
