"""The append-only log of labels.

Recording a label also updates the row's effective label and the counts of its label set, in the
same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tipstaff_trainer.data import LabelSource, Selection
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import DatasetRow, Label, LabelSet, RowLabel
from tipstaff_trainer.workspace.labels.effective_label import (
    EffectiveLabel,
    count_label,
    effective_label,
)


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label to record; `db.models.Label` explains the fields."""

    value: float | None
    source: LabelSource
    who: str
    selection: Selection | str = "unknown"
    based_on_label_id: int = 0
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def given_by(file: str, who: str) -> dict[str, Any]:
    """`who` and `details` of labels that came with a file, or that a person gave without one."""
    return {"who": (file or who)[:200], "details": {"file": file} if file else {}}


def record(session: Session, row_id: int, criterion: str, new: NewLabel) -> Label:
    """Appends a label to a row's log, and updates its effective label and the counts.

    A person's label that was given without knowing another person's is marked as `concurrent`: no
    label is overwritten or dropped.

    Raises:
        WorkspaceError: There is no such row, it is not judged by the criterion, or the value is
            not in [0, 1].
    """
    if new.value is not None and not 0 <= new.value <= 1:
        raise WorkspaceError(
            f"{new.value:g} is not a label: give a number from 0 (bad) to 1 (good)"
        )
    row = session.scalar(select(DatasetRow).where(DatasetRow.id == row_id).with_for_update())
    if row is None:
        raise WorkspaceError(f"there is no row {row_id}")
    _lock_label_set(session, row.dataset_id, criterion)
    query = select(Label).where(Label.row_id == row_id, Label.criterion == criterion)
    earlier = session.scalars(query.order_by(Label.id)).all()
    concurrent = new.source == "human" and _is_concurrent(earlier, new)
    label = Label(
        dataset_id=row.dataset_id,
        row_id=row_id,
        criterion=criterion,
        concurrent=concurrent,
        **{each.name: getattr(new, each.name) for each in fields(new)},
    )
    session.add(label)
    session.flush()
    # Read anew, now that the row is locked; the session may hold an older state.
    row_label = session.get(RowLabel, (row_id, criterion), populate_existing=True)
    if row_label is None:
        row_label = RowLabel(
            row_id=row_id,
            criterion=criterion,
            dataset_id=row.dataset_id,
            position=row.position,
            label_source="",
            selection="unknown",
            disputed=False,
        )
        session.add(row_label)
    _apply(session, row_label, effective_label([*earlier, label]))
    row_label.last_label_id = label.id
    if new.source == "judge":
        row_label.judge_label = new.value
    return label


def _is_concurrent(earlier: Sequence[Label], new: NewLabel) -> bool:
    return any(
        each.source == "human" and each.who != new.who and each.id > new.based_on_label_id
        for each in earlier
    )


def _lock_label_set(session: Session, dataset: int, criterion: str) -> None:
    """Keeps a label set's criterion from being renamed until the transaction ends.

    The lock lets others update the set's counts meanwhile.
    """
    name = session.scalar(
        select(LabelSet.criterion)
        .where(LabelSet.dataset_id == dataset, LabelSet.criterion == criterion)
        .with_for_update(read=True, key_share=True)
    )
    if name is None:
        raise WorkspaceError(
            f"these rows are not judged by {criterion!r}"
            if criterion
            else "somebody has just set the criterion of these rows: open them again"
        )


def _apply(session: Session, row: RowLabel, effective: EffectiveLabel) -> None:
    old = count_label(row.label, row.label_source, row.disputed)
    new = count_label(effective.label, effective.source, effective.disputed)
    row.label, row.label_source = effective.label, effective.source
    row.disputed = effective.disputed
    # A row of the random draw stays one, even if it was labelled for another reason too.
    if row.selection != "random":
        row.selection = effective.selection
    changes = {
        name: getattr(LabelSet, name) + count - old[name]
        for name, count in new.items()
        if count != old[name]
    }
    if changes:
        session.execute(
            update(LabelSet)
            .where(LabelSet.dataset_id == row.dataset_id, LabelSet.criterion == row.criterion)
            .values(changes)
        )
