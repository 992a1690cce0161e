"""Options of forms: what a data set has is offered, and says what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tipstaff.types import Field
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import LabelSet
from tipstaff_trainer.workspace.operations.suitable import in_words, lacking, untrainable


@dataclass(frozen=True, slots=True)
class LabelsOption:
    """A data set's labels by one criterion, as an option of a form.

    Attributes:
        labels: The labels.
        usable: Whether they can be chosen.
        lack: What they lack, in words; may be empty although they can be chosen.
    """

    labels: LabelSet
    usable: bool
    lack: str

    @classmethod
    def for_training(cls, labels: LabelSet) -> LabelsOption:
        """Labels to train on."""
        lack = untrainable(labels)
        return cls(labels, not lack, lack)

    @classmethod
    def for_measuring(cls, labels: LabelSet, fields: Sequence[Field]) -> LabelsOption:
        """Labels to measure an evaluator on that reads these fields."""
        if not labels.labelled:
            return cls(labels, False, "no labels")
        missing = lacking(fields, labels.dataset)
        lack = f"no {in_words(missing)}" if missing else ""
        return cls(labels, len(missing) < len(fields), lack)

    @property
    def value(self) -> str:
        """The form's value: the data set's id and the criterion."""
        return f"{self.labels.dataset_id}/{self.labels.criterion}"


def choose(options: Sequence[LabelsOption], value: str) -> LabelsOption | None:
    """The option that is chosen first: the one named, else one that lacks nothing.

    Returns:
        None if no option can be chosen.
    """
    usable = [each for each in options if each.usable]
    named = [each for each in usable if each.value == value]
    best = [each for each in usable if not each.lack]
    return next(iter([*named, *best, *usable]), None)


def labels_of_form(value: str) -> tuple[int, str | None]:
    """The labels that a form names (`LabelsOption.value`): the data set's id, and the criterion.

    Raises:
        WorkspaceError: The form names no data set.
    """
    number, separator, criterion = value.partition("/")
    if not number.isdecimal() or len(number) > 15:
        raise WorkspaceError("choose a data set")
    return int(number), criterion if separator else None
