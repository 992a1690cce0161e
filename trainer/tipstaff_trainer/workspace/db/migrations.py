"""A workspace that an older Tipstaff made, brought up to date when it is opened.

All of it is one transaction, so that a workspace is either as it was or as it is now. Jobs that an
older Tipstaff runs meanwhile fail, and are gone on with.

Labels were once kept with their rows, a data set's by one criterion. They are moved to where each
criterion has its own; and a judge's that were given by another criterion than the data set's, which
was possible then, now stand by theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, insert, inspect, literal_column, select, text, update
from sqlalchemy.schema import CreateColumn

from tipstaff_trainer.workspace.db.models import Dataset, Label, LabelSet, Row, RowLabel, Table, now
from tipstaff_trainer.workspace.labels.log import counts, standing

# What was once kept with a row, and with a data set, and is now kept by criterion.
_MOVED = {
    "rows": (
        *("label", "label_source", "selection", "disputed", "judge_label", "last_label"),
        "latest_by",
    ),
    "datasets": ("criterion", "labelled", "human", "judge", "good", "disputed"),
}
_MOVED_INDEXES = ("rows_source", "rows_disputed", "rows_ranked", "review_items_queue")


def upgrade(connection: Connection) -> None:
    """Makes the tables, or gives those that are there what they lack."""
    there = inspect(connection)
    older = there.has_table("rows") and "label_source" in _columns(connection, "rows")
    for name in _MOVED_INDEXES if older else ():
        connection.execute(text(f"DROP INDEX IF EXISTS {name}"))
    Table.metadata.create_all(connection)
    _add_columns(connection)
    if older:
        _move_labels(connection)
    _add_indexes(connection)


def _add_columns(connection: Connection) -> None:
    for table in Table.metadata.sorted_tables:
        columns = _columns(connection, table.name)
        for column in table.columns:
            if column.name not in columns:
                words = CreateColumn(column).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {words}"))


def _add_indexes(connection: Connection) -> None:
    there = inspect(connection)
    for table in Table.metadata.sorted_tables:
        indexes = {each["name"] for each in there.get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in indexes:
                if index.name == "review_items_once":
                    _ask_once(connection)
                index.create(connection)


def _ask_once(connection: Connection) -> None:
    """Takes rows out of the queue that wait in it twice, as two people could put them there."""
    other = (
        "EXISTS (SELECT 1 FROM review_items AS other WHERE other.row_id = review_items.row_id "
        "AND other.criterion = review_items.criterion AND other.state <> 'done' AND {})"
    )
    drawn = other.format("other.selection = 'random'")
    earlier = other.format("other.id < review_items.id")
    for words in (
        # One that was drawn stays so.
        f"UPDATE review_items SET selection = 'random' WHERE state <> 'done' AND {drawn}",
        f"DELETE FROM review_items WHERE state <> 'done' AND {earlier}",
    ):
        connection.execute(text(words))


def _columns(connection: Connection, table: str) -> set[str]:
    return {each["name"] for each in inspect(connection).get_columns(table)}


def _move_labels(connection: Connection) -> None:
    once = "(SELECT criterion FROM datasets WHERE datasets.id = {}.dataset_id)"
    for table in ("labels", "review_items"):
        connection.execute(text(f"UPDATE {table} SET criterion = {once.format(table)}"))
    connection.execute(
        text(f"UPDATE scores SET evaluator = '~' || {once.format('scores')} WHERE evaluator = ''")
    )
    judged_by = Label.details["criterion"].as_string()
    connection.execute(
        update(Label)
        .where(Label.source == "judge", Label.criterion != "", judged_by != "")
        .values(criterion=judged_by)
    )
    judged: Any = literal_column("datasets.criterion")
    datasets = select(Dataset.id, Dataset.created_at, judged)
    for dataset, created_at, criterion in connection.execute(datasets).all():
        _move_labels_of(connection, dataset, created_at, criterion)
    for table, columns in _MOVED.items():
        for column in _columns(connection, table).intersection(columns):
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))


def _move_labels_of(
    connection: Connection, dataset: int, created_at: datetime, criterion: str
) -> None:
    """Says anew what stands of a data set's labels, each criterion's by themselves.

    Args:
        connection: Its database.
        dataset: Which.
        created_at: When it was.
        criterion: What people were asked to judge it by last.
    """
    # As plain columns, which are read like labels.
    given: Sequence[Any] = connection.execute(
        select(Label, Row.position, literal_column("rows.selection").label("of_row"))
        .join(Row, Row.id == Label.row_id)
        .where(Label.dataset_id == dataset)
        .order_by(Label.row_id, Label.criterion, Label.id)
    ).all()
    counted = {criterion: Counter(counts(None, "", False))}
    standings = []
    for (row_id, by), some in groupby(given, key=lambda each: (each.row_id, each.criterion)):
        labels = list(some)
        stands = standing(labels)
        judge = [each.value for each in labels if each.source == "judge"]
        counted.setdefault(by, Counter()).update(
            counts(stands.label, stands.source, stands.disputed)
        )
        drawn = by == criterion and labels[0].of_row == "random"
        standings.append(
            {
                "row_id": row_id,
                "criterion": by,
                "dataset_id": dataset,
                "position": labels[0].position,
                "label": stands.label,
                "label_source": stands.source,
                "selection": "random" if drawn else stands.selection,
                "disputed": stands.disputed,
                "judge_label": judge[-1] if judge else None,
                "last_label": labels[-1].id,
            }
        )
    for by, count in counted.items():
        # In the order in which they are shown: the one that it is judged by now comes first.
        when = created_at if by == criterion else now()
        values = {"dataset_id": dataset, "criterion": by, "created_at": when, **count}
        connection.execute(insert(LabelSet).values(values))
    if standings:
        connection.execute(insert(RowLabel), standings)
