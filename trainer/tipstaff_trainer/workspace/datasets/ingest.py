"""Inserting and deleting a data set's rows, in many small transactions.

SQLite has one writer at a time, so a whole file in one transaction would keep everybody else from
labelling. Rows are inserted while their data set is hidden; it appears once all are there. Failed
uploads and deleted data sets are swept up later.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, case, delete, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from tipstaff.types import FIELDS
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db import full_text
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    MOST_EXTRA,
    Dataset,
    DatasetRow,
    Job,
    Label,
    LabelSet,
    ReviewItem,
    RowLabel,
    RowScore,
    TrafficAttribute,
    TrafficRow,
    TrafficSource,
    now,
)
from tipstaff_trainer.workspace.db.rows import insert_all
from tipstaff_trainer.workspace.labels.effective_label import count_label
from tipstaff_trainer.workspace.labels.log import given_by

# Inserting so many takes a tenth of a second.
_ROWS_AT_ONCE = 1000
_CHARACTERS_AT_ONCE = 1_000_000
# An upload that is still loading after this time has failed.
_LOADING_LIMIT = timedelta(days=1)


def store(database: Database, name: str, data: Data, *, file: str, criterion: str, who: str) -> int:
    """Stores rows as a new data set, which is hidden until all are there; returns its id.

    Raises:
        WorkspaceError: The name is taken, or the disk is full; then nothing stays of the data set.
    """
    with database.reading() as session:
        _check_free(session, name)
    dataset = Dataset(
        name=_hidden_name(),
        state="loading",
        file=file[:200],
        fields=fields_with_text(data),
        extra=list(dict.fromkeys(name for row in data.rows for name in row.extra))[:MOST_EXTRA],
        notes=[*data.warnings, *data.reading],
        rows=len(data.rows),
        author=who,
    )
    with database.writing() as session:
        session.add(dataset)
    try:
        counts = insert_parts(database, dataset.id, criterion, data.rows, file=file, who=who)
        with database.writing() as session:
            _check_free(session, name)
            session.add(LabelSet(dataset_id=dataset.id, criterion=criterion, **counts))
            hidden = update(Dataset).where(Dataset.id == dataset.id)
            session.execute(hidden.values(name=name, state="ready"))
    except BaseException:
        try:
            _delete(database, dataset.id)
        except WorkspaceError:
            # Even this may fail on a full disk: the rows are deleted once there is room again.
            database.unswept.add(dataset.id)
        raise
    return dataset.id


def insert_parts(
    database: Database,
    dataset: int,
    criterion: str,
    rows: Sequence[Row],
    *,
    file: str,
    who: str,
    first: int = 0,
    held_out: Collection[str | None] = (),
) -> Mapping[str, int]:
    """Inserts rows a part at a time, and returns the counts of their label set."""
    total: Counter[str] = Counter()
    for offset, part in _parts(rows):
        start = first + offset
        if offset:
            database.let_others_write()
        # Prepared before the transaction takes its lock.
        values = [_values(dataset, start + index, row, held_out) for index, row in enumerate(part)]
        with database.writing() as session:
            _insert(session, dataset, criterion, start, part, values, file=file, who=who)
        for row in part:
            if row.labelled:
                total.update(count_label(row.label, row.label_source, False))
    return total


def hide(database: Database, dataset: Dataset) -> None:
    """Hides a data set and frees its name; `sweep` deletes the rows.

    Raises:
        WorkspaceError: The data set is not in the archive, or a job works on it.
    """
    with database.writing() as session:
        # Checked and hidden in one statement: somebody may restore it at the same time.
        hidden = session.scalars(
            update(Dataset)
            .where(Dataset.id == dataset.id, Dataset.state == "archived")
            .values(name=_hidden_name(), file="", state="deleted")
            .returning(Dataset.id)
        ).all()
        if not hidden:
            raise WorkspaceError(f"{dataset.name}: archive the data set before deleting it")
        job = session.scalar(
            select(Job).where(Job.dataset_id == dataset.id, Job.state.in_(("queued", "running")))
        )
        if job is not None:
            raise WorkspaceError(f"job {job.id} ({job.title}) works on it: stop the job first")


def sweep(database: Database) -> None:
    """Deletes the rows of hidden data sets: deleted ones and failed uploads.

    An upload by another process counts as failed after a day.
    """
    failed = and_(Dataset.state == "loading", Dataset.created_at < now() - _LOADING_LIMIT)
    query = select(Dataset.id).where(
        or_(Dataset.state == "deleted", Dataset.id.in_(database.unswept), failed)
    )
    for dataset in database.scalars(query):
        _delete(database, dataset)
        database.unswept.discard(dataset)


def _delete(database: Database, dataset: int) -> None:
    positions = select(func.max(DatasetRow.position)).where(DatasetRow.dataset_id == dataset)
    last = database.scalar(positions)
    for first in range(0, -1 if last is None else last + 1, _ROWS_AT_ONCE):
        end = first + _ROWS_AT_ONCE - 1
        these = and_(DatasetRow.dataset_id == dataset, DatasetRow.position.between(first, end))
        ids = select(DatasetRow.id).where(these)
        with database.writing() as session:
            keys = select(TrafficRow.key).where(TrafficRow.row_id.in_(ids))
            session.execute(
                delete(TrafficAttribute).where(TrafficAttribute.key.in_(keys)),
                execution_options={"synchronize_session": False},
            )
            for table in (Label, RowLabel, ReviewItem, RowScore, TrafficRow):
                session.execute(
                    delete(table).where(table.row_id.in_(ids)),
                    execution_options={"synchronize_session": False},
                )
            full_text.remove(session, dataset, first, end)
            session.execute(delete(DatasetRow).where(these))
        database.let_others_write()
    with database.writing() as session:
        # Jobs stay for their logs.
        session.execute(update(Job).where(Job.dataset_id == dataset).values(dataset_id=None))
        session.execute(delete(LabelSet).where(LabelSet.dataset_id == dataset))
        session.execute(delete(TrafficSource).where(TrafficSource.dataset_id == dataset))
        session.execute(delete(Dataset).where(Dataset.id == dataset))


def fields_with_text(data: Data) -> list[str]:
    """The fields that a row has a text in; a file may have a column for one and leave it empty."""
    texts = {
        name: any((row.interaction.get(name) or "").strip() for row in data.rows)
        for name in data.columns
    }
    return [name for name, any_text in texts.items() if any_text] or list(data.columns)


def _check_free(session: Session, name: str) -> None:
    state = session.scalar(select(Dataset.state).where(Dataset.name == name))
    if state is not None:
        where = " in the archive" if state == "archived" else ""
        raise WorkspaceError(f"there is a data set {name!r} already{where}: choose another name")


def _hidden_name() -> str:
    """A unique name that users can't choose."""
    return f"~{uuid.uuid4().hex}"


def _parts(rows: Sequence[Row]) -> Iterator[tuple[int, Sequence[Row]]]:
    """Rows in parts that are quick to insert, each with the position of its first row."""
    start, characters = 0, 0
    for end, row in enumerate(rows, start=1):
        texts = (row.interaction.get(name) or "" for name in FIELDS)
        characters += sum(map(len, texts)) + sum(map(len, row.extra.values()))
        if end - start == _ROWS_AT_ONCE or characters >= _CHARACTERS_AT_ONCE or end == len(rows):
            yield start, rows[start:end]
            start, characters = end, 0


def _values(
    dataset: int, position: int, row: Row, held_out: Collection[str | None]
) -> dict[str, Any]:
    return {
        "dataset_id": dataset,
        "position": position,
        "key": storable(row.id),
        **{name: storable(row.interaction.get(name)) for name in FIELDS},
        "weight": row.weight,
        "row_group": storable(row.group),
        "part": "test" if storable(row.group) in held_out else "train",
        "extra": {name: storable(text) for name, text in row.extra.items()},
    }


def _insert(
    session: Session,
    dataset: int,
    criterion: str,
    start: int,
    rows: Sequence[Row],
    values: Sequence[dict[str, Any]],
    *,
    file: str,
    who: str,
) -> None:
    """Adds rows with their labels in bulk."""
    insert_all(session, DatasetRow, values)
    end = start + len(rows) - 1
    these = and_(DatasetRow.dataset_id == dataset, DatasetRow.position.between(start, end))
    ids = session.scalars(select(DatasetRow.id).where(these).order_by(DatasetRow.position)).all()
    common = {"dataset_id": dataset, "criterion": criterion, **given_by(file, who)}
    labels = [
        {
            **common,
            "row_id": row_id,
            "value": row.label,
            "source": row.label_source,
            "selection": row.selection,
        }
        for row_id, row in zip(ids, rows, strict=True)
        if row.labelled
    ]
    insert_all(session, Label, labels)
    # Each row has a single label, which is its effective label.
    columns = {
        "row_id": DatasetRow.id,
        "criterion": Label.criterion,
        "dataset_id": DatasetRow.dataset_id,
        "position": DatasetRow.position,
        "label": Label.value,
        "label_source": Label.source,
        "selection": Label.selection,
        "disputed": literal(False),
        "judge_label": case((Label.source == "judge", Label.value)),
        "last_label_id": Label.id,
    }
    row_labels = select(*columns.values()).join(Label, Label.row_id == DatasetRow.id).where(these)
    session.execute(insert(RowLabel).from_select(list(columns), row_labels))
    full_text.add(session, dataset, start, end)


def storable(text: str | None) -> Any:
    """A text as every database stores it."""
    # PostgreSQL can't store NUL in a text.
    return None if text is None else text.replace("\0", "\ufffd")
