"""Which rows belong together, and how to part rows without parting those."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tipstaff.errors import UsageError
from tipstaff.types import Field
from tipstaff_trainer.data.rows import Row, text_hash
from tipstaff_trainer.errors import DataError

# The output last: it is what is judged, and the others are what it is judged by.
_SHARED_BY: tuple[Field, ...] = ("input", "ground_truth", "output")

Counts = Counter[str]


def derive_groups(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Gives a group to the rows that have none: those of one input belong together.

    Where there is no input it is the ground truth, then the output. A text that more than half of
    the rows share (an instruction, a policy) says nothing about what belongs together, so it is
    passed over for the next field. Texts are compared without case and white space.

    Returns:
        The rows in their order, and notes for the user.
    """
    groups = {index: row.group for index, row in enumerate(rows) if row.group}
    notes = []
    for name in _SHARED_BY:
        texts = {
            index: text
            for index, row in enumerate(rows)
            if index not in groups and (text := _folded(row.interaction.get(name)))
        }
        counts = Counter(texts.values())
        common = {text for text, count in counts.items() if count > 1 and 2 * count > len(rows)}
        groups |= {
            index: text_hash((name, text)) for index, text in texts.items() if text not in common
        }
        if common and name == "input":
            notes.append(
                "more than half of the rows have the same input, so those are not kept on one "
                "side of a split; name what belongs together in a column group"
            )
    return [
        row if row.group else replace(row, group=groups.get(index) or text_hash(("id", row.id)))
        for index, row in enumerate(rows)
    ], notes


def split_rows(rows: Sequence[Row], size: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Splits rows at random, whole groups on one side, both sides with like shares of good rows.

    Groups are drawn in random order, and one is taken where that brings the second side closer to
    its aim in good and bad rows. Then, if a side lacks a class that the other can spare, the
    smallest group that has it moves over: so no side lacks a class where that can be avoided.

    Args:
        rows: With groups; a row without one is a group by itself.
        size: Share of the rows aimed at for the second side, in (0, 1).
        seed: Of the draw; same rows and seed, same split.

    Returns:
        The rest and the part split off, both in the order of `rows`, none empty.

    Raises:
        UsageError: `size` is not in (0, 1).
        DataError: All rows are in one group.
    """
    if not 0 < size < 1:
        raise UsageError(f"{size:g} is not a share to split off: give one between 0 and 1, as 0.2")
    groups: dict[str, Counts] = {}
    for row in rows:
        groups.setdefault(_group(row), Counter())[_class(row)] += 1
    if len(groups) < 2:
        raise DataError(
            f"the {len(rows)} rows are all in one group, so they can't be split: name what belongs "
            "together in a column group, or give the test rows in a file of their own"
        )
    drawn = list(groups)
    random.Random(seed).shuffle(drawn)
    aim = {name: size * count for name, count in _total(groups).items()}
    taken: Counts = Counter()
    part: dict[str, Counts] = {}
    for group in drawn:
        if _distance(taken + groups[group], aim) < _distance(taken, aim):
            part[group] = groups[group]
            taken += groups[group]
    rest = {group: groups[group] for group in drawn if group not in part}
    _lend_classes(rest, part)
    _lend_classes(part, rest)
    return (
        [row for row in rows if _group(row) in rest],
        [row for row in rows if _group(row) in part],
    )


def without_groups_of(rows: Sequence[Row], held_out: Sequence[Row]) -> list[Row]:
    """The rows that share neither group nor text with rows held out, as in a test file.

    Training on the others would let the test measure memory.
    """
    groups = {row.group for row in held_out if row.group}
    interactions = {row.interaction for row in held_out}
    return [row for row in rows if row.group not in groups and row.interaction not in interactions]


def _lend_classes(lender: dict[str, Counts], borrower: dict[str, Counts]) -> None:
    """Moves groups to `borrower` until it has every class that `lender` has and can spare.

    With two classes this is all that can be done: a class that only one group of the lender has
    is in no other group at all.
    """
    for name in sorted(_total(lender)):
        if name in _total(borrower):
            continue
        holders = Counter(held for counts in lender.values() for held in counts)
        spare = [
            group
            for group, counts in lender.items()
            if name in counts and all(holders[held] > 1 for held in counts)
        ]
        _move_smallest(spare, lender, borrower)
    if not borrower:
        _move_smallest(list(lender), lender, borrower)


def _move_smallest(
    candidates: Sequence[str], lender: dict[str, Counts], borrower: dict[str, Counts]
) -> None:
    if candidates:
        smallest = min(candidates, key=lambda group: lender[group].total())
        borrower[smallest] = lender.pop(smallest)


def _total(groups: dict[str, Counts]) -> Counts:
    total: Counts = Counter()
    for counts in groups.values():
        total.update(counts)
    return total


def _folded(text: str | None) -> str:
    return " ".join((text or "").casefold().split())


def _distance(counts: Counts, aim: dict[str, float]) -> float:
    return sum((counts[name] - wanted) ** 2 for name, wanted in aim.items())


def _group(row: Row) -> str:
    return row.group or f"id {row.id}"


def _class(row: Row) -> str:
    if not row.labelled:
        return "unlabelled"
    return "good" if row.good else "bad"
