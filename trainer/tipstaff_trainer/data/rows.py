"""Labelled interactions: a row, the joining of labels, a fingerprint, the check before training."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from tipstaff.types import FIELDS, Field, Interaction
from tipstaff_trainer.errors import DataError

LabelSource = Literal["human", "judge", "other"]
Selection = Literal["random", "pilot", "uncertain", "disputed", "drawn", "unknown"]
LABEL_SOURCES: tuple[LabelSource, ...] = get_args(LabelSource)
SELECTIONS: tuple[Selection, ...] = get_args(Selection)

FEWEST_ROWS = 10
ENOUGH_ROWS = 256
_ENOUGH_OF_A_CLASS = 8
# The classes' names in messages, and whether their rows are `good`.
CLASSES = {"good (label 0.5 or more)": True, "bad (label under 0.5)": False}


@dataclass(frozen=True, slots=True)
class Row:
    """One interaction with its label.

    Attributes:
        interaction: What is judged. An absent field is None; an empty text is a text.
        label: Probability in [0, 1] that the output meets the criterion; NaN without a label.
        id: The interaction's id from the file, or `content_id`.
        weight: The row's weight in the training loss, the choice of the best step and the
            calibration; finite, at least 0.
        group: Rows of one group are never split; from the file, or derived (`groups`).
        label_source: Who labelled it. A human outranks a judge, a judge any other.
        selection: How the row was selected for labelling. Only `random` rows represent all rows;
            `drawn` ones do with the weights of their draw, which traffic keeps beside them.
        extra: The file's other columns as text, without empty cells.
        place: The row's position in its file, for messages: `train.csv, row 12 (line 13)`.
    """

    interaction: Interaction
    label: float
    id: str
    weight: float = 1.0
    group: str = ""
    label_source: LabelSource = "other"
    selection: Selection = "unknown"
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    place: str = field(default="", compare=False)

    @property
    def good(self) -> bool:
        """Whether the label counts as good where a class is needed: from 0.5 on."""
        return self.label >= 0.5

    @property
    def labelled(self) -> bool:
        """Whether there is a label."""
        return not math.isnan(self.label)


def content_id(interaction: Interaction) -> str:
    """An id for an interaction without one: 16 hex digits of the SHA-256 of its texts.

    An absent field and an empty one give the same id, since CSV can't tell them apart.
    """
    return text_hash([interaction.get(name) or "" for name in FIELDS])


def narrow(interaction: Interaction, fields: Sequence[Field]) -> Interaction:
    """An interaction with some of its fields only."""
    return Interaction(**{name: interaction.get(name) for name in fields})


def narrow_rows(rows: Iterable[Row], fields: Sequence[Field]) -> list[Row]:
    """The rows with some of their fields only."""
    return [replace(row, interaction=narrow(row.interaction, fields)) for row in rows]


def check_texts(rows: Iterable[Row], fields: Sequence[Field], reason: str = "") -> None:
    """Checks that each row has a text in one of the fields.

    Raises:
        DataError: A row has none; names it, and the reason why the fields count.
    """
    for row in rows:
        if not any((row.interaction.get(name) or "").strip() for name in fields):
            raise DataError(
                f"{row.place}: there is no text in {' or '.join(fields)}{reason}",
                remedy="fill one, or remove the row",
            )


def text_hash(texts: Sequence[str]) -> str:
    """The first 16 hex digits of the SHA-256 of some texts in order."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def join_labels(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Joins several labels of one interaction, which are rows with the same id, into one row.

    Only labels of the highest source count: human over judge over other. They are averaged, as are
    their weights, so that the result does not depend on the order of the file. The joined row takes
    the place of the id's first row. Its selection is the one its labels agree on, else `unknown`,
    so that it never passes for a random draw by mistake; the rest comes from the first label that
    counts.

    Returns:
        One row for each id, and notes for the user.

    Raises:
        DataError: Two rows of one id have different texts.
    """
    by_id: dict[str, list[Row]] = {}
    for row in rows:
        by_id.setdefault(row.id, []).append(row)
    joined = [_join(same) for same in by_id.values()]
    if len(joined) == len(rows):
        return joined, []
    note = (
        f"{len(rows)} rows hold {len(joined)} interactions, as some occur more than once (by id, "
        "or by text where there is no id): a human's labels outrank a judge's, and labels of one "
        "source are averaged"
    )
    if ties := sum(row.label == 0.5 for row in joined if len(by_id[row.id]) > 1):
        note += f"; {ties} came out at 0.5, which counts as good"
    return joined, [note]


def fingerprint(rows: Sequence[Row]) -> str:
    """SHA-256, in hex, over everything that training reads of the rows, in their order.

    A row's `place` and its `extra` columns do not count.
    """
    digest = hashlib.sha256()
    for row in rows:
        texts = [row.interaction.get(name) for name in FIELDS]
        label = [float(row.label), row.id, float(row.weight), row.group]
        values = [*texts, *label, row.label_source, row.selection]
        digest.update(json.dumps(values).encode() + b"\n")
    return digest.hexdigest()


def check_trainable(rows: Sequence[Row]) -> list[str]:
    """Checks that an evaluator can be trained on the rows.

    Rows of weight 0 don't count.

    Returns:
        Warnings: too few rows, or too few of one class, to rely on the result.

    Raises:
        DataError: A row has no label, there are fewer than `FEWEST_ROWS`, or all are of one class.
    """
    for row in rows:
        if not row.labelled:
            name = row.place or row.id
            raise DataError(f"{name}: has no label", remedy="label it or leave it out")
    counted = [row for row in rows if row.weight > 0]
    total = len(counted)
    if total < FEWEST_ROWS:
        unweighted = len(rows) - total
        zero = f" (and {unweighted} of weight 0, their own or their source's)" if unweighted else ""
        remedy = f"label at least {FEWEST_ROWS}, better {ENOUGH_ROWS}"
        raise DataError(f"{total} labelled rows{zero} are too few to train on", remedy=remedy)
    classes = {name: sum(row.good is good for row in counted) for name, good in CLASSES.items()}
    for name, count in classes.items():
        if count == 0:
            message = f"none of the {total} rows is {name}, but an evaluator learns from both"
            remedy = "add rows of that kind, or check how the labels were written"
            raise DataError(message, remedy=remedy)
    warnings = []
    if total < ENOUGH_ROWS:
        warnings.append(
            f"{total} rows are few: expect a rough evaluator and unsure measurements, "
            f"and label {ENOUGH_ROWS} or more before relying on it"
        )
    return warnings + [
        f"only {count} of {total} rows are {name}: label more of that kind"
        for name, count in classes.items()
        if count < _ENOUGH_OF_A_CLASS
    ]


def _join(same: Sequence[Row]) -> Row:
    first, *others = same
    if not others:
        return first
    for row in others:
        for name in FIELDS:
            if (row.interaction.get(name) or "") != (first.interaction.get(name) or ""):
                raise DataError(
                    f'{row.place}: id "{row.id}" is also in {first.place}, with another {name}',
                    remedy="give each interaction its own id; if the id names what several "
                    "interactions share, map that column to group instead",
                )
    labelled = [row for row in same if row.labelled] or same
    highest = min((row.label_source for row in labelled), key=LABEL_SOURCES.index)
    counted = [row for row in labelled if row.label_source == highest]
    agreed = len({row.selection for row in counted}) == 1
    return replace(
        counted[0],
        label=math.fsum(row.label for row in counted) / len(counted),
        weight=math.fsum(row.weight for row in counted) / len(counted),
        group=next((row.group for row in same if row.group), ""),
        selection=counted[0].selection if agreed else "unknown",
    )
