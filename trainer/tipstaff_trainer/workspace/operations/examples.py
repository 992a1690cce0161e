"""Reviewed rows that a judge is shown as examples, with the reviewers' notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from tipstaff_trainer.data import Row, without_groups_of
from tipstaff_trainer.judge.examples import choose_examples
from tipstaff_trainer.judge.prompt import NOTE_COLUMN
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.models import DatasetRow, Label, LabelSet
from tipstaff_trainer.workspace.db.rows import to_data_row
from tipstaff_trainer.workspace.review.selection import drawn_rows
from tipstaff_trainer.workspace.stores import Stores


def reviewed_examples(
    stores: Stores, labels: LabelSet, count: int, reporter: Reporter
) -> Sequence[Row]:
    """Rows that people have labelled by the criterion, as examples for the judge.

    Test rows, rows of a random draw, and rows of their groups are never examples: agreement is
    measured on them, and a judge that has seen them would agree better there than on other rows.
    """
    # The count in `labels` may be older than the last review.
    by_people = stores.datasets.rows(labels, only="human")
    if not count or next(by_people, None) is None:
        return ()
    with stores.database.reading() as session:
        drawn = drawn_rows(session, labels)
    reviewed, held_out = [], []
    for row in stores.datasets.rows(labels):
        if row.part == "test" or row.id in drawn:
            held_out.append(to_data_row(row))
        elif row.label_source == "human":
            reviewed.append(to_data_row(row))
    reviewed = without_groups_of(reviewed, held_out)
    # Pilot rows are reviewed for this purpose.
    pilot = [row for row in reviewed if row.selection == "pilot"]
    examples = choose_examples(pilot or reviewed, count)
    reporter.note(f"{len(examples)} examples, {sum(row.good for row in examples)} of them good")
    if not examples:
        reporter.warn(
            "no example for the judge: every reviewed row is kept for measuring, as it is a test "
            "row, was drawn at random, or belongs to the group of such a row",
            remedy="review pilot or ranked rows",
        )
    return [_with_note(stores, labels, each) for each in examples]


def _with_note(stores: Stores, labels: LabelSet, row: Row) -> Row:
    """The row with its latest reviewer's note, which explains the label to the judge."""
    query = (
        select(Label.reason)
        .join(DatasetRow, DatasetRow.id == Label.row_id)
        .where(labels.of(Label), DatasetRow.key == row.id)
        .where(Label.source == "human", Label.value.is_not(None), Label.reason != "")
        .order_by(Label.id.desc())
        .limit(1)
    )
    note = stores.database.scalar(query)
    return replace(row, extra={**row.extra, NOTE_COLUMN: note}) if note else row
