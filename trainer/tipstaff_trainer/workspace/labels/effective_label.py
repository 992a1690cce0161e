"""A row's effective label: one label from all that people, judges and files gave the row.

Of each labeller only the latest label counts. People outrank judges, and judges outrank labels from
a file; several labels of one rank are averaged, as `data.join_labels` does for a file's rows. All
labels are by one criterion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tipstaff_trainer.data import LABEL_SOURCES, LabelSource, Selection
from tipstaff_trainer.workspace.db.models import Label


@dataclass(frozen=True, slots=True)
class EffectiveLabel:
    """A row's effective label by one criterion.

    Attributes:
        label: In [0, 1]; None if the row has no label, or all were taken back.
        source: The source of the labels that count; empty without a label.
        selection: How the row was chosen for these labels; `unknown` if they differ in that.
        disputed: Whether the labels that count, of people or of judges, are on both sides of 0.5.
    """

    label: float | None = None
    source: LabelSource | str = ""
    selection: Selection | str = "unknown"
    disputed: bool = False


def effective_label(labels: Iterable[Label]) -> EffectiveLabel:
    """The effective label of one row, from its labels by one criterion in the order of the log."""
    latest: dict[tuple[str, str], Label] = {(each.source, each.who): each for each in labels}
    for source in LABEL_SOURCES:
        votes = [
            (each.value, each.selection)
            for each in latest.values()
            if each.source == source and each.value is not None
        ]
        if votes:
            values, selections = zip(*votes, strict=True)
            return EffectiveLabel(
                label=math.fsum(values) / len(values),
                source=source,
                selection=selections[0] if len(set(selections)) == 1 else "unknown",
                disputed=source != "other" and len({value >= 0.5 for value in values}) > 1,
            )
    return EffectiveLabel()


def count_label(label: float | None, source: str, disputed: bool) -> dict[str, int]:
    """What a row with some effective label adds to each count of its label set."""
    return {
        "labelled": int(label is not None),
        "human": int(source == "human"),
        "judge": int(source == "judge"),
        "good": int(label is not None and label >= 0.5),
        "disputed": int(disputed),
    }
