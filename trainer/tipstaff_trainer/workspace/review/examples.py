"""Which rows that people have reviewed a judge is shown as examples, and with what they noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from tipstaff_trainer.data import Row, without_groups_of
from tipstaff_trainer.judge import choose_examples
from tipstaff_trainer.judge.prompt import NOTE_COLUMN
from tipstaff_trainer.workspace.db.models import DatasetRow, Label, LabelSet
from tipstaff_trainer.workspace.db.rows import as_labelled
from tipstaff_trainer.workspace.review.selection import drawn_before
from tipstaff_trainer.workspace.workspace import Workspace


def reviewed_examples(workspace: Workspace, labels: LabelSet, count: int) -> Sequence[Row]:
    """Rows that people have labelled by the criterion, as examples for the judge.

    None that is there to measure or to certify by, and none of such a row's group, whether it has
    a label by now or not: a judge that was taught by it would agree with people better there than
    elsewhere.
    """
    # `labels` may be older than the last review, so its own count doesn't say.
    by_people = workspace.datasets.rows(labels, only="human")
    if not count or next(by_people, None) is None:
        return ()
    with workspace.database.reading() as session:
        drawn = drawn_before(session, labels)
    reviewed, held_out = [], []
    for row in workspace.datasets.rows(labels):
        if row.part == "test" or row.id in drawn:
            held_out.append(as_labelled(row))
        elif row.label_source == "human":
            reviewed.append(as_labelled(row))
    reviewed = without_groups_of(reviewed, held_out)
    # Those that the pilot asked about are there for this.
    pilot = [row for row in reviewed if row.selection == "pilot"]
    chosen = choose_examples(pilot or reviewed, count)
    print(f"{len(chosen)} examples, {sum(row.good for row in chosen)} of them good", flush=True)
    if not chosen:
        print(
            "warning: each row that people have reviewed is kept for honest numbers, as it is of "
            "the test part or was drawn at random, or is of such a row's group: review others, as "
            "a pilot's or ranked ones",
            flush=True,
        )
    return [_with_note(workspace, labels, each) for each in chosen]


def _with_note(workspace: Workspace, labels: LabelSet, row: Row) -> Row:
    """The row with what a person noted beside their label, which is a reason to learn from."""
    with workspace.database.reading() as session:
        note = session.scalar(
            select(Label.reason)
            .join(DatasetRow, DatasetRow.id == Label.row_id)
            .where(
                DatasetRow.dataset_id == labels.dataset_id,
                DatasetRow.key == row.id,
                labels.of(Label),
            )
            .where(Label.source == "human", Label.value.is_not(None), Label.reason != "")
            .order_by(Label.id.desc())
            .limit(1)
        )
    return replace(row, extra={**row.extra, NOTE_COLUMN: note}) if note else row
