"""Evaluators' scores of a data set's rows, kept to choose rows for review.

An evaluator scores a row the same for every criterion. An estimate from the other rows depends on
their labels, so it is kept by criterion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, and_, delete, func, select

from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import DatasetRow, LabelSet, RowScore
from tipstaff_trainer.workspace.db.rows import StoredRow, insert_all, select_rows, to_stored_row

# An evaluator's name and version.
ScoredBy = tuple[str, int]
# Stands for no evaluator: each row's label as estimated from the other rows' labels.
OTHER_ROWS: ScoredBy = ("", 0)
_PAGE_ROWS = 500


def score_key(criterion: str, name: str, version: int) -> ScoredBy:
    """The `evaluator` and `version` that `RowScore` has for a scorer."""
    return (name or f"~{criterion}"), version


class Scores:
    """The scores of a workspace, by data set and evaluator version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, labels: LabelSet) -> dict[ScoredBy, int]:
        """How many rows each scorer has scored; `OTHER_ROWS` is by the criterion of `labels`."""
        query = (
            select(RowScore.evaluator, RowScore.version, func.count())
            .where(RowScore.dataset_id == labels.dataset_id)
            .group_by(RowScore.evaluator, RowScore.version)
        )
        counts = {(name, version): count for name, version, count in self._database.rows(query)}
        other_rows = score_key(labels.criterion, *OTHER_ROWS)
        return {
            OTHER_ROWS if by == other_rows else by: count
            for by, count in counts.items()
            if by == other_rows or not by[0].startswith("~")
        }

    def unscored(self, labels: LabelSet, by: ScoredBy) -> Iterator[StoredRow]:
        """Rows without a score by a scorer, in their order; read a page at a time."""
        query = (
            select_rows(labels)
            .outerjoin(RowScore, and_(scores_by(labels, by), RowScore.row_id == DatasetRow.id))
            .where(RowScore.row_id.is_(None))
            .order_by(DatasetRow.position)
            .limit(_PAGE_ROWS)
        )
        position = -1
        while page := self._database.rows(query.where(DatasetRow.position > position)):
            yield from (to_stored_row(*each) for each in page)
            position = page[-1][0].position

    def delete(self, labels: LabelSet, by: ScoredBy) -> None:
        """Deletes a scorer's scores of a data set."""
        with self._database.writing() as session:
            session.execute(delete(RowScore).where(scores_by(labels, by)))

    def add(self, labels: LabelSet, by: ScoredBy, scores: Mapping[int, float | None]) -> None:
        """Stores scores; one that a row has by this scorer already stays.

        Args:
            labels: The rows' label set.
            by: The scorer.
            scores: By row id, in [0, 1]; None for a row with no text that the scorer reads.

        Raises:
            WorkspaceError: The scores can't be stored.
        """
        name, version = score_key(labels.criterion, *by)
        common = {"dataset_id": labels.dataset_id, "evaluator": name, "version": version}
        values = [{**common, "row_id": row, "score": score} for row, score in scores.items()]
        with self._database.writing() as session:
            insert_all(session, RowScore, values, unless_there=True)


def scores_by(labels: LabelSet, by: ScoredBy) -> ColumnElement[bool]:
    """The SQL condition that a score of a data set's row is by a scorer."""
    name, version = score_key(labels.criterion, *by)
    return and_(
        RowScore.dataset_id == labels.dataset_id,
        RowScore.evaluator == name,
        RowScore.version == version,
    )
