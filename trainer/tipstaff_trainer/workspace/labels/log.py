"""Labels: only ever added, and what stands after each.

Several people may label a row, a judge more than once. Of each the latest counts; people outrank
judges, and judges whatever a file brought along; several of one rank are averaged, as
`data.join_labels` does with those of a file. All of this is by one criterion: labels by another
neither count nor outrank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tipstaff_trainer.data import LABEL_SOURCES, LabelSource, Selection
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import DatasetRow, Label, LabelSet, RowLabel


@dataclass(frozen=True, slots=True)
class Standing:
    """What a row's labels come to.

    Attributes:
        label: In [0, 1]; None where no label stands.
        source: Whose it is; empty where none stands.
        selection: How the row came to be given that label.
        disputed: Whether labels of people, or, where there are none, of judges, fall on both sides
            of 0.5.
    """

    label: float | None = None
    source: LabelSource | str = ""
    selection: Selection | str = "unknown"
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label about to be recorded; `tables.Label` explains the fields."""

    value: float | None
    source: LabelSource
    who: str
    selection: Selection | str = "unknown"
    over: int = 0
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def standing(labels: Iterable[Label]) -> Standing:
    """What stands after some labels of one row by one criterion, in the order they were given."""
    latest: dict[tuple[str, str], Label] = {(each.source, each.who): each for each in labels}
    for source in LABEL_SOURCES:
        given = [
            each for each in latest.values() if each.source == source and each.value is not None
        ]
        if not given:
            continue
        values = [each.value for each in given if each.value is not None]
        selections = {each.selection for each in given}
        return Standing(
            label=math.fsum(values) / len(values),
            source=source,
            selection=given[0].selection if len(selections) == 1 else "unknown",
            disputed=source != "other" and len({value >= 0.5 for value in values}) > 1,
        )
    return Standing()


def record(session: Session, row_id: int, criterion: str, new: NewLabel) -> Label:
    """Adds a label to a row, and brings what stands and its data set's counts up to date.

    A label that was given over an older state is kept too, marked as `crossed`: nothing is
    overwritten and nothing is thrown away.

    Raises:
        WorkspaceError: There is no such row, it is not judged by the criterion, or the label is
            not in [0, 1].
    """
    if new.value is not None and not 0 <= new.value <= 1:
        raise WorkspaceError(f"{new.value:g} is no label: give a number from 0 (bad) to 1 (good)")
    row = session.scalar(select(DatasetRow).where(DatasetRow.id == row_id).with_for_update())
    if row is None:
        raise WorkspaceError(f"there is no row {row_id}")
    _hold(session, row.dataset_id, criterion)
    before = list(
        session.scalars(
            select(Label)
            .where(Label.row_id == row_id, Label.criterion == criterion)
            .order_by(Label.id)
        )
    )
    label = Label(
        dataset_id=row.dataset_id,
        row_id=row_id,
        criterion=criterion,
        value=new.value,
        source=new.source,
        who=new.who,
        selection=new.selection,
        based_on_label_id=new.based_on_label_id,
        crossed=new.source == "human" and _crossed(before, new),
        reason=new.reason,
        details=new.details,
    )
    session.add(label)
    session.flush()
    # As it is now that the row is locked, whatever the session has seen of it before.
    stands = session.get(RowLabel, (row_id, criterion), populate_existing=True)
    if stands is None:
        stands = _unlabelled(row, criterion)
        session.add(stands)
    _apply(session, stands, standing([*before, label]))
    stands.last_label_id = label.id
    if new.source == "judge":
        stands.judge_label = new.value
    return label


def counts(label: float | None, source: str, disputed: bool) -> dict[str, int]:
    """What one row adds to the counts of its data set's labels."""
    return {
        "labelled": int(label is not None),
        "human": int(source == "human"),
        "judge": int(source == "judge"),
        "good": int(label is not None and label >= 0.5),
        "disputed": int(disputed),
    }


def _crossed(before: Sequence[Label], new: NewLabel) -> bool:
    return any(
        each.source == "human" and each.who != new.who and each.id > new.based_on_label_id
        for each in before
    )


def _hold(session: Session, dataset: int, criterion: str) -> None:
    """Keeps a data set's labels under their criterion's name until the label is stored.

    `LabelSets` may give them another; counting them, as others do meanwhile, is no matter.
    """
    found = session.scalar(
        select(LabelSet.criterion)
        .where(LabelSet.dataset_id == dataset, LabelSet.criterion == criterion)
        .with_for_update(read=True, key_share=True)
    )
    if found is None:
        raise WorkspaceError(
            f"these rows are not judged by {criterion!r}"
            if criterion
            else "somebody has just said by which criterion these rows are judged: open them again"
        )


def _unlabelled(row: DatasetRow, criterion: str) -> RowLabel:
    return RowLabel(
        row_id=row.id,
        criterion=criterion,
        dataset_id=row.dataset_id,
        position=row.position,
        label_source="",
        selection="unknown",
        disputed=False,
    )


def _apply(session: Session, row: RowLabel, stands: Standing) -> None:
    old = counts(row.label, row.label_source, row.disputed)
    new = counts(stands.label, stands.source, stands.disputed)
    row.label, row.label_source, row.disputed = stands.label, stands.source, stands.disputed
    # A row of the random draw stays one, whatever else it was looked at for.
    if row.selection != "random":
        row.selection = stands.selection
    changed = {
        name: getattr(LabelSet, name) + new[name] - old[name]
        for name in new
        if new[name] != old[name]
    }
    if changed:
        session.execute(
            update(LabelSet)
            .where(LabelSet.dataset_id == row.dataset_id, LabelSet.criterion == row.criterion)
            .values(changed)
        )
