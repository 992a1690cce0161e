"""Erases requests' rows and feedback from the workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from tipstaff_trainer.workspace.db import full_text
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    Dataset,
    DatasetRow,
    Label,
    LabelSet,
    ReviewItem,
    RowLabel,
    RowScore,
    TrafficAttribute,
    TrafficFeedback,
    TrafficRow,
)
from tipstaff_trainer.workspace.labels.effective_label import count_label
from tipstaff_trainer.workspace.traffic.collect import mark_erased


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """What erasing has done in a workspace.

    Attributes:
        rows: Rows erased, with their labels, scores and places in the queue.
        feedback: Pieces of feedback erased.
        trained: Of the rows, those with a label, which evaluators may have been trained on: erasing
            doesn't reach weights.
    """

    rows: int
    feedback: int
    trained: int


def erase_rows(database: Database, request_ids: Sequence[str], at: float) -> ErasedRows:
    """Erases rows of requests, and remembers the requests by hash.

    Raises:
        WorkspaceError: The database can't be written.
    """
    rows = trained = feedback = 0
    for request_id in dict.fromkeys(request_ids):
        with database.writing() as session:
            mark_erased(session, [request_id], at)
            ids = session.scalars(
                select(TrafficRow.row_id).where(TrafficRow.request_id == request_id).distinct()
            ).all()
            for row_id in ids:
                trained += _erase_row(session, row_id)
                rows += 1
            erased = session.execute(
                delete(TrafficFeedback)
                .where(TrafficFeedback.request_id == request_id)
                .returning(TrafficFeedback.source)
            )
            feedback += len(erased.all())
    return ErasedRows(rows, feedback, trained)


def _erase_row(session: Session, row_id: int) -> bool:
    row = session.scalar(select(DatasetRow).where(DatasetRow.id == row_id).with_for_update())
    if row is None:
        return False
    labels = session.scalars(select(RowLabel).where(RowLabel.row_id == row_id)).all()
    for label in labels:
        gone = Counter(count_label(label.label, label.label_source, label.disputed))
        counts = {name: getattr(LabelSet, name) - count for name, count in gone.items() if count}
        if counts:
            session.execute(
                update(LabelSet)
                .where(LabelSet.dataset_id == row.dataset_id, LabelSet.criterion == label.criterion)
                .values(counts)
                .execution_options(synchronize_session=False)
            )
    keys = select(TrafficRow.key).where(TrafficRow.row_id == row_id)
    session.execute(
        delete(TrafficAttribute)
        .where(TrafficAttribute.key.in_(keys))
        .execution_options(synchronize_session=False)
    )
    for table in (Label, RowLabel, ReviewItem, RowScore, TrafficRow):
        session.execute(
            delete(table).where(table.row_id == row_id).execution_options(synchronize_session=False)
        )
    full_text.remove(session, row.dataset_id, row.position, row.position)
    session.execute(delete(DatasetRow).where(DatasetRow.id == row_id))
    session.execute(
        update(Dataset)
        .where(Dataset.id == row.dataset_id)
        .values(rows=Dataset.rows - 1, test=Dataset.test - int(row.part == "test"))
        .execution_options(synchronize_session=False)
    )
    return bool(labels)
