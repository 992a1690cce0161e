"""What evaluators say of a data set's rows, kept so that rows can be chosen by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, delete, func, insert, select

from tipstaff_trainer.workspace.candidates import ScoredBy
from tipstaff_trainer.workspace.database import Database
from tipstaff_trainer.workspace.tables import Row, RowScore, Table

# Scores that no evaluator gave: each row's label as the other rows would have it.
OTHER_ROWS: ScoredBy = ("", 0)


class Scores:
    """The scores of a workspace, by data set and version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def given(self, dataset: int) -> dict[ScoredBy, int]:
        """Who has scored a data set, and how many of its rows so far."""
        query = (
            select(RowScore.evaluator, RowScore.version, func.count())
            .where(RowScore.dataset_id == dataset)
            .group_by(RowScore.evaluator, RowScore.version)
        )
        with self._database.reading() as session:
            return {(name, version): count for name, version, count in session.execute(query)}

    def missing(self, dataset: int, by: ScoredBy, *, after: int = -1, limit: int) -> Sequence[Row]:
        """Rows that somebody has not scored yet, in their order, after a position."""
        scored = and_(
            RowScore.dataset_id == dataset,
            RowScore.evaluator == by[0],
            RowScore.version == by[1],
            RowScore.row_id == Row.id,
        )
        with self._database.reading() as session:
            return session.scalars(
                select(Row)
                .outerjoin(RowScore, scored)
                .where(Row.dataset_id == dataset, Row.position > after, RowScore.row_id.is_(None))
                .order_by(Row.position)
                .limit(limit)
            ).all()

    def forget(self, dataset: int, by: ScoredBy) -> None:
        """Takes somebody's scores of a data set away, as they are about to be given anew."""
        with self._database.writing() as session:
            session.execute(
                delete(RowScore).where(
                    RowScore.dataset_id == dataset,
                    RowScore.evaluator == by[0],
                    RowScore.version == by[1],
                )
            )

    def add(self, dataset: int, by: ScoredBy, scores: Mapping[int, float | None]) -> None:
        """Keeps scores of rows that have none by the same version yet.

        Args:
            dataset: Whose rows.
            by: Who gave them.
            scores: By row, in [0, 1]; None where there is nothing to be read.

        Raises:
            WorkspaceError: They can't be stored.
        """
        values = [
            {
                "dataset_id": dataset,
                "evaluator": by[0],
                "version": by[1],
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
