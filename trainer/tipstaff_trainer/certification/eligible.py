"""Rows that may certify: labelled by people, drawn at random, independent, not trained on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from tipstaff.types import Field
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_trainer.data import Row, united_groups
from tipstaff_trainer.data.groups import folded_texts
from tipstaff_trainer.data.rows import narrow
from tipstaff_trainer.errors import CertificationError
from tipstaff_trainer.evaluation.notices import trained_on


def eligible_rows(rows: Sequence[Row], bundle: Bundle) -> tuple[list[Row], list[str]]:
    """The rows that can prove a promise.

    Returns:
        One row for each group, in the order of `rows`, and notes for the user on what was left out.

    Raises:
        CertificationError: No row is left, or most are the same; says why.
    """
    notes = []
    human = [row for row in rows if row.label_source == "human"]
    if left_out := len(rows) - len(human):
        notes.append(
            f"{left_out} of {len(rows)} rows left out, as their labels are not a person's "
            f"(label_source: {_counts(row.label_source for row in rows)})"
        )
    drawn = [row for row in human if row.selection == "random"]
    if left_out := len(human) - len(drawn):
        notes.append(
            f"{left_out} of {len(human)} human rows left out, as they were not drawn at random "
            f"(selection: {_counts(row.selection for row in human)})"
        )
    new = drawn
    matches = trained_on(drawn, bundle)
    if matches is not None:
        new = [row for row, match in zip(drawn, matches, strict=True) if not match.any()]
        if left_out := len(drawn) - len(new):
            notes.append(
                f"{left_out} of {len(drawn)} rows left out, as the evaluator was trained on them "
                f"({int(matches[:, 0].sum())} by their texts) or on others of their groups"
            )
    elif drawn:
        notes.append(
            "this bundle doesn't know its training rows: make sure that none of them is here; the "
            "certificate says that nobody checked (bundles trained from now on know them)"
        )
    if not new:
        message = f"no row is left to certify on: {'; '.join(notes)}"
        raise CertificationError(message, remedy=_advice(human, drawn))
    fields = bundle.manifest.fields
    _check_different(new, fields)
    single = one_of_each_group(new)
    if len(single) < len(new):
        notes.append(
            f"{len(new)} rows are {len(single)} groups, and rows of a group are not independent: "
            "one of each counts, picked by a hash"
        )
    # `united_groups` leaves copies apart where uniting them would put most rows into one group.
    different = _one_of_each(single, _texts_read(single, fields))
    if left_out := len(single) - len(different):
        reason = "as the evaluator reads the same in another"
        notes.append(f"{left_out} of {len(single)} groups left out, {reason}")
    return different, notes


def _check_different(rows: Sequence[Row], fields: Sequence[Field]) -> None:
    """Checks that most of the rows are not the same to the evaluator.

    Copies get the same score, so they are one observation. A promise on one copy and the others
    would not hold for traffic that consists mostly of such copies.

    Raises:
        CertificationError: More than half of the rows have the same texts.
    """
    texts = _texts_read(rows, fields)
    most, count = Counter(texts).most_common(1)[0]
    if count > 1 and 2 * count > len(rows):
        raise CertificationError(
            f"{count} of the {len(rows)} rows are one and the same to the evaluator, which reads "
            f"{', '.join(fields)}: they show the verdict of row {rows[texts.index(most)].id} only",
            remedy="leave its copies out, and label others",
        )


def _texts_read(rows: Sequence[Row], fields: Sequence[Field]) -> list[tuple[str, ...]]:
    """The texts of each row that the evaluator reads."""
    return [folded_texts(narrow(row.interaction, fields)) for row in rows]


def one_of_each_group(rows: Sequence[Row]) -> list[Row]:
    """One row of each group, in the order of `rows`.

    The row with the lowest hash of its id is picked: as good as random, independent of labels and
    scores, and the same each time, so that nobody can draw again for a better result.
    """
    return _one_of_each(rows, united_groups(rows))


def _one_of_each(rows: Sequence[Row], keys: Sequence[Hashable]) -> list[Row]:
    """One row for each key; see `one_of_each_group`."""
    picked: dict[Hashable, Row] = {}
    for row, key in zip(rows, keys, strict=True):
        if key not in picked or _rank(row) < _rank(picked[key]):
            picked[key] = row
    chosen = {row.id for row in picked.values()}
    return [row for row in rows if row.id in chosen]


def _rank(row: Row) -> bytes:
    return hashlib.sha256(row.id.encode()).digest()


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in Counter(values).most_common())


def _advice(human: Sequence[Row], drawn: Sequence[Row]) -> str:
    if not human:
        return "if people labelled them, add a column label_source or {label_source} human"
    if not drawn:
        return "if they are a random draw of traffic, add a column selection or {selection} random"
    return (
        "label rows that are new to it; where groups are numbered anew in each file, give them "
        "other names"
    )
