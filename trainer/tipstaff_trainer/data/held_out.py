"""Separates rows to train on from the rows of a test file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tipstaff.types import FIELDS
from tipstaff_trainer.data.dataset import Data
from tipstaff_trainer.data.groups import derive_groups, folded_texts, united_groups
from tipstaff_trainer.data.rows import Row, check_texts, narrow_rows
from tipstaff_trainer.errors import DataError


def hold_out(data: Data, test: Data) -> tuple[list[Row], list[Row], list[str]]:
    """Leaves out the rows that belong together with rows of a test file.

    Groups are derived over both files, from the fields that both have, since for one file alone
    another field may group or another text be common. The test rows have only the fields that are
    trained on, and the texts of these are compared.

    Returns:
        Rows to train on, perhaps none; the test file's rows; and notes for the user.

    Raises:
        DataError: The test file lacks a field that `data` has, or one of its rows has none of them.
    """
    if absent := [name for name in data.columns if name not in test.columns]:
        message = f"{test.file}: has no column {' or '.join(absent)}, which the evaluator will read"
        remedy = "map one with {mapping}, or leave the field out with {columns}"
        raise DataError(message, remedy=remedy)
    narrowed = narrow_rows(test.rows, data.columns)
    check_texts(narrowed, data.columns, ", which the evaluator will read")
    both = [
        name
        for name in FIELDS
        if all(any(row.interaction.get(name) for row in rows) for rows in (data.whole, test.whole))
    ]
    whole, _ = derive_groups(narrow_rows([*data.whole, *test.whole], both))
    regrouped = [
        replace(row, group=grouped.group)
        for row, grouped in zip([*data.rows, *narrowed], whole, strict=True)
    ]
    rows, held_out = regrouped[: len(data.rows)], regrouped[len(data.rows) :]
    left = without_groups_of(rows, held_out)
    notes = []
    if data.grouped != test.grouped:
        has, lacks = (data.file, test.file) if data.grouped else (test.file, data.file)
        notes.append(
            f"{has} has a group column and {lacks} has none, so rows that belong together can't be "
            "found across them and the test may flatter: add the column, or split one file into "
            "both"
        )
    if shared := len(rows) - len(left):
        notes.append(
            f"left out {shared} of {len(rows)} rows, whose group or texts are also in {test.file}"
        )
    return left, held_out, notes


def without_groups_of(rows: Sequence[Row], held_out: Sequence[Row]) -> list[Row]:
    """The rows that share neither a group nor texts with any row held out.

    A test on rows that share one would measure memory. Texts are compared without case and white
    space; groups that share an interaction are one.
    """
    groups = united_groups([*rows, *held_out])
    held_groups = set(groups[len(rows) :])
    held_texts = {folded_texts(row.interaction) for row in held_out}
    return [
        row
        for row, group in zip(rows, groups, strict=False)
        if group not in held_groups and folded_texts(row.interaction) not in held_texts
    ]
