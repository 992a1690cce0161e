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
    """The rows that a promise may rest on.

    Returns:
        One row for each group, in the order of `rows`, and notes for the user on what was left out.

    Raises:
        CertificationError: None is left, or most are the same; says why.
    """
    notes = []
    human = [row for row in rows if row.label_source == "human"]
    if len(human) < len(rows):
        notes.append(
            f"{len(rows) - len(human)} of {len(rows)} rows left out, as their labels are not a "
            f"person's (label_source: {_counts(row.label_source for row in rows)})"
        )
    drawn = [row for row in human if row.selection == "random"]
    if len(drawn) < len(human):
        notes.append(
            f"{len(human) - len(drawn)} of {len(human)} human rows left out, as they were not "
            f"drawn at random (selection: {_counts(row.selection for row in human)})"
        )
    new = drawn
    hits = trained_on(drawn, bundle)
    if hits is not None:
        new = [row for row, hit in zip(drawn, hits, strict=True) if not hit.any()]
        if len(new) < len(drawn):
            notes.append(
                f"{len(drawn) - len(new)} of {len(drawn)} rows left out, as the evaluator was "
                f"trained on them ({int(hits[:, 0].sum())} by their texts) or on others of their "
                "groups"
            )
    elif drawn:
        notes.append(
            "this bundle doesn't know its training rows: make sure that none of them is here; the "
            "certificate says that nobody checked (bundles trained from now on know them)"
        )
    if not new:
        raise CertificationError(
            "no row is left to certify on: " + "; ".join(notes), remedy=_advice(human, drawn)
        )
    fields = bundle.manifest.fields
    _check_different(new, fields)
    single = one_of_each_group(new)
    if len(single) < len(new):
        notes.append(
            f"{len(new)} rows are {len(single)} groups, and rows of a group are not independent: "
            "one of each counts, picked by a hash"
        )
    # `united_groups` leaves copies apart where uniting them would put most rows into one group.
    different = _one_of_each(single, [_read(row, fields) for row in single])
    if len(different) < len(single):
        notes.append(
            f"{len(single) - len(different)} of {len(single)} groups left out, as the evaluator "
            "reads the same in another"
        )
    return different, notes


def _check_different(rows: Sequence[Row], fields: Sequence[Field]) -> None:
    """Raises CertificationError where most of the rows are the same to the evaluator.

    Copies get the same score, so they are one observation. A promise on one copy and the others
    would not hold for traffic that consists mostly of such copies.
    """
    texts = [_read(row, fields) for row in rows]
    most, count = Counter(texts).most_common(1)[0]
    if count > 1 and 2 * count > len(rows):
        raise CertificationError(
            f"{count} of the {len(rows)} rows are one and the same to the evaluator, which reads "
            f"{', '.join(fields)}, as in row {rows[texts.index(most)].id}: they show the verdict "
            "of that one only",
            remedy="leave its copies out, and label others",
        )


def _read(row: Row, fields: Sequence[Field]) -> tuple[str, ...]:
    return folded_texts(narrow(row.interaction, fields))


def one_of_each_group(rows: Sequence[Row]) -> list[Row]:
    """One row of each group, in the order of `rows`.

    The pick is by a hash of the row's id: as good as random, whatever labels and scores say, and
    the same each time, so that nobody can draw again until it suits.
    """
    return _one_of_each(rows, united_groups(rows))


def _one_of_each(rows: Sequence[Row], keys: Sequence[Hashable]) -> list[Row]:
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
        return (
            "if people labelled them, say so in the column label_source, or where there is none "
            "with {label_source} human"
        )
    if not drawn:
        return (
            "if they are a random draw of what the evaluator will see, say so in the column "
            "selection, or where there is none with {selection} random"
        )
    return (
        "label rows that are new to it; where groups are numbered anew in each file, give them "
        "other names"
    )
