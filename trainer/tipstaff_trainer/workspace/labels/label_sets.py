"""By which criteria a data set is judged, and the labels of each kept apart."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    Dataset,
    Label,
    LabelSet,
    ReviewItem,
    RowLabel,
    RowScore,
)
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, stored_as


def chosen(dataset: Dataset, criterion: str | None) -> LabelSet:
    """A data set's labels by a criterion; those it has when None, if it has but one.

    Where one was asked for that nobody had named, as by a page that was opened before somebody did,
    it is the one that has the name since.

    Raises:
        WorkspaceError: It is not judged by that, or by several and none is named.
    """
    found = {each.criterion: each for each in dataset.label_sets}
    if not criterion and len(found) == 1:
        return dataset.label_sets[0]
    if criterion is not None and criterion in found:
        return found[criterion]
    names = ", ".join(map(repr, found))
    if not criterion:
        raise WorkspaceError(
            f"{dataset.name}: is judged by several criteria: say by which of {names} (criterion)"
        )
    if list(found) == [""]:
        raise WorkspaceError(
            f"{dataset.name}: is not judged by {criterion!r}: it has no criterion yet; ask a judge "
            "by it, or add it"
        )
    raise WorkspaceError(f"{dataset.name}: is not judged by {criterion!r}, only by {names}")


class LabelSets:
    """The labels of a workspace's data sets, by criterion.

    A data set begins with one set whose criterion nobody has said. While it has no label, the first
    criterion to be added is its; when it has some, as from a file, somebody must say what they were
    given by (`name`), since labels by one criterion are no labels by another.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, dataset: Dataset, criterion: str) -> None:
        """Has a data set judged by a criterion too, unless it is already.

        Raises:
            WorkspaceError: It has labels of which nobody has said what they were given by.
        """
        with self._database.writing() as session:
            found = _locked(session, dataset)
            if criterion in found:
                return
            if "" not in found:
                session.add(LabelSet(dataset_id=dataset.id, criterion=criterion))
                return
            given = select(Label.id).where(Label.dataset_id == dataset.id).limit(1)
            if session.scalar(given) is not None:
                raise WorkspaceError(
                    f"{dataset.name}: nobody has said which criterion the labels that it has were "
                    "given by: say so first, on its page or by set_criterion"
                )
            _rename(session, dataset.id, criterion)

    def name(self, dataset: Dataset, criterion: str) -> None:
        """Says what the labels were given by of which nobody has said so yet.

        Raises:
            WorkspaceError: There are none.
        """
        with self._database.writing() as session:
            found = _locked(session, dataset)
            if list(found) == [criterion]:
                return
            if "" not in found:
                names = ", ".join(map(repr, found))
                raise WorkspaceError(f"{dataset.name}: its labels are by {names} already")
            _rename(session, dataset.id, criterion)


def _locked(session: Session, dataset: Dataset) -> list[str]:
    """The criteria of a data set, which nobody else adds to meanwhile."""
    session.scalar(select(Dataset.id).where(Dataset.id == dataset.id).with_for_update())
    return list(
        session.scalars(select(LabelSet.criterion).where(LabelSet.dataset_id == dataset.id))
    )


def _rename(session: Session, dataset: int, criterion: str) -> None:
    for table in (LabelSet, RowLabel, Label, ReviewItem):
        session.execute(
            update(table)
            .where(table.dataset_id == dataset, table.criterion == "")
            .values(criterion=criterion),
            execution_options={"synchronize_session": False},
        )
    # What the other rows said is kept by criterion; it is asked for again when it is wanted.
    other, _ = stored_as("", *OTHER_ROWS)
    session.execute(
        delete(RowScore).where(RowScore.dataset_id == dataset, RowScore.evaluator == other)
    )
