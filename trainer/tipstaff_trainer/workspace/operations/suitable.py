"""What keeps labels, or a data set's fields, from being trained on, measured on or scored."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tipstaff.types import Field
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import Dataset, LabelSet


def untrainable(labels: LabelSet) -> str:
    """Why nothing can be learnt from labels: there are none, or of one kind; empty if it can."""
    if not labels.labelled:
        return "no labels"
    if labels.good in (0, labels.labelled):
        return "only good labels" if labels.good else "only bad labels"
    return ""


def check_trainable_labels(labels: LabelSet) -> None:
    """Checks that labels can be learnt from.

    Raises:
        WorkspaceError: There are none, or all are good, or all bad.
    """
    if not labels.labelled:
        raise WorkspaceError(f"{labels.title}: no row has a label yet: label some first")
    if reason := untrainable(labels):
        raise WorkspaceError(
            f"{labels.title}: it has {reason}, and learning needs good and bad ones",
            remedy="label or review more rows",
        )


def lacking(fields: Sequence[Field], dataset: Dataset) -> list[Field]:
    """The fields that an evaluator reads and no row of a data set has a text in."""
    return [name for name in fields if name not in dataset.fields]


def check_readable(fields: Sequence[Field], dataset: Dataset, evaluator: str) -> None:
    """Checks that the rows have a text that an evaluator reads.

    Raises:
        WorkspaceError: They have none.
    """
    if len(lacking(fields, dataset)) == len(fields):
        raise WorkspaceError(
            f"{evaluator} reads {in_words(fields)}, and no row of {dataset.name} has a text there"
        )


def in_words(fields: Collection[str]) -> str:
    """Fields in words, as `input and ground truth`."""
    names = [name.replace("_", " ") for name in fields]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
