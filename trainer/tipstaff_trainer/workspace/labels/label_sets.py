"""Label sets: a data set's labels, kept apart by criterion."""

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
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, score_key


def choose_label_set(dataset: Dataset, criterion: str | None) -> LabelSet:
    """A data set's labels by a criterion; `criterion` may be None if there is only one.

    The empty name, as on a page that was opened before the criterion was set, finds the set that
    has the name since.

    Raises:
        WorkspaceError: There are no such labels, or several sets and no criterion is named.
    """
    by_criterion = {each.criterion: each for each in dataset.label_sets}
    if not criterion and len(by_criterion) == 1:
        return dataset.label_sets[0]
    if criterion is not None and criterion in by_criterion:
        return by_criterion[criterion]
    names = ", ".join(map(repr, by_criterion))
    if not criterion:
        raise WorkspaceError(
            f"{dataset.name} is judged by several criteria: choose one of {names} (criterion)"
        )
    if list(by_criterion) == [""]:
        raise WorkspaceError(
            f"{dataset.name} is not judged by {criterion!r}: it has no criterion yet; label it by "
            "that criterion, or add the criterion"
        )
    raise WorkspaceError(f"{dataset.name} is not judged by {criterion!r}, only by {names}")


def further_label_set(dataset: Dataset, criterion: str) -> LabelSet:
    """The labels of a further data set to train or test on: by the same criterion.

    Where the data set has only one set and either criterion is not set, that set.

    Raises:
        WorkspaceError: There are no such labels.
    """
    sets = dataset.label_sets
    only_one = len(sets) == 1 and not (sets[0].criterion and criterion)
    return sets[0] if only_one else choose_label_set(dataset, criterion)


class LabelSets:
    """The label sets of a workspace.

    A data set begins with one set without a criterion. While the set has no label, the first
    criterion to be added becomes its criterion. A set with labels, as from a file, needs somebody
    to set its criterion (`set_criterion`), since labels by one criterion say nothing about another.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, dataset: Dataset, criterion: str) -> None:
        """Adds a label set for a criterion, unless the data set has one.

        Raises:
            WorkspaceError: The data set has labels whose criterion is not set.
        """
        with self._database.writing() as session:
            criteria = _locked_criteria(session, dataset)
            if criterion in criteria:
                return
            if "" not in criteria:
                session.add(LabelSet(dataset_id=dataset.id, criterion=criterion))
                return
            any_label = select(Label.id).where(Label.dataset_id == dataset.id).limit(1)
            if session.scalar(any_label) is not None:
                raise WorkspaceError(
                    f"{dataset.name}: the criterion of its labels is not set: set it first, on the "
                    "data set's page or with set_criterion"
                )
            _rename(session, dataset.id, criterion)

    def set_criterion(self, dataset: Dataset, criterion: str) -> None:
        """Sets the criterion of labels that were imported without one.

        Raises:
            WorkspaceError: The labels have another criterion.
        """
        with self._database.writing() as session:
            criteria = _locked_criteria(session, dataset)
            if criteria == [criterion]:
                return
            if "" not in criteria:
                names = ", ".join(map(repr, criteria))
                raise WorkspaceError(f"{dataset.name}: its labels are by {names} already")
            _rename(session, dataset.id, criterion)


def _locked_criteria(session: Session, dataset: Dataset) -> list[str]:
    """The criteria of a data set, locked so that nobody adds one before the transaction ends."""
    session.scalar(select(Dataset.id).where(Dataset.id == dataset.id).with_for_update())
    return list(
        session.scalars(select(LabelSet.criterion).where(LabelSet.dataset_id == dataset.id))
    )


def _rename(session: Session, dataset: int, criterion: str) -> None:
    for table in (LabelSet, RowLabel, Label, ReviewItem):
        rows = update(table).where(table.dataset_id == dataset, table.criterion == "")
        options = {"synchronize_session": False}
        session.execute(rows.values(criterion=criterion), execution_options=options)
    # Estimates from other rows are kept by criterion; a scoring job makes them anew.
    evaluator, _ = score_key("", *OTHER_ROWS)
    session.execute(
        delete(RowScore).where(RowScore.dataset_id == dataset, RowScore.evaluator == evaluator)
    )
