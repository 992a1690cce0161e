"""Splits rows at random, without splitting groups."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from tipstaff.errors import UsageError
from tipstaff_trainer.data.groups import united_groups
from tipstaff_trainer.data.rows import CLASSES, Row
from tipstaff_trainer.errors import DataError

Counts = Counter[str]


def split_rows(rows: Sequence[Row], size: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Splits rows at random into whole groups, both sides with similar shares of good rows.

    Groups that share an interaction count as one (`groups.united_groups`).

    Groups are visited in random order, and one moves to the second side if it brings that side
    closer to its target in good and bad rows. Then, if a side lacks a class that the other can
    spare, the smallest group with that class moves over, so that no side lacks a class where that
    can be avoided.

    Args:
        rows: With groups; a row without one is its own group.
        size: Share of the rows intended for the second side, in (0, 1).
        seed: Determines the order; the same rows and seed give the same split.

    Returns:
        The rest and the part split off, both in the order of `rows`, neither empty.

    Raises:
        UsageError: `size` is not in (0, 1).
        DataError: All rows are in one group.
    """
    if not 0 < size < 1:
        remedy = "give one between 0 and 1, as 0.2"
        raise UsageError(f"{size:g} is not a share to split off", remedy=remedy)
    group_of = united_groups(rows)
    groups: dict[int, Counts] = {}
    for row, group in zip(rows, group_of, strict=True):
        groups.setdefault(group, Counter())[_class(row)] += 1
    if len(groups) < 2:
        message = f"the {len(rows)} rows are all in one group, so they can't be split"
        remedy = "name what belongs together in a column group, or give test rows in their own file"
        raise DataError(message, remedy=remedy)
    order = list(groups)
    random.Random(seed).shuffle(order)
    target = {name: size * count for name, count in _total(groups).items()}
    total: Counts = Counter()
    part: dict[int, Counts] = {}
    for group in order:
        if _distance(total + groups[group], target) < _distance(total, target):
            part[group] = groups[group]
            total += groups[group]
    rest = {group: groups[group] for group in order if group not in part}
    _lend_classes(rest, part)
    _lend_classes(part, rest)
    return (
        [row for row, group in zip(rows, group_of, strict=True) if group in rest],
        [row for row, group in zip(rows, group_of, strict=True) if group in part],
    )


def check_split(
    rest: Sequence[Row], part: Sequence[Row], size: float, *, name: str = "validation"
) -> list[str]:
    """Checks that a split left both classes to train on, where there were both.

    Args:
        rest: The rows left to train on.
        part: The rows split off.
        size: The share of the rows that was intended for `part`.
        name: The name of `part` in messages.

    Returns:
        Warnings: `part` lacks a class, or is far from its size.

    Raises:
        DataError: `rest` lacks a class that `part` has.
    """
    warnings = []
    for label, good in CLASSES.items():
        in_rest, in_part = (sum(row.good is good for row in side) for side in (rest, part))
        if in_part and not in_rest:
            raise DataError(
                f"none of the {len(rest)} rows left to train on is {label}: the {in_part} of that "
                f"kind are in groups that went to {name} whole",
                remedy="add such rows in other groups, or split off another share, or with another "
                "seed",
            )
        if in_rest and not in_part:
            warnings.append(
                f"none of the {len(part)} {name} rows is {label}: add such rows in other groups"
            )
    count = len(rest) + len(part)
    if abs(len(part) - size * count) > max(2, min(size, 1 - size) * count / 2):
        warnings.append(
            f"{len(part)} of {count} rows are for {name} instead of {size * count:.0f}, since "
            "groups are not split: make groups smaller, or add rows in other groups"
        )
    return warnings


def _lend_classes(lender: dict[int, Counts], borrower: dict[int, Counts]) -> None:
    """Moves groups to `borrower` until it has every class that `lender` can spare.

    With two classes that is all one can do: a class that only one group of the lender has is in no
    other group.
    """
    for name in sorted(_total(lender)):
        if name in _total(borrower):
            continue
        holders = Counter(each for counts in lender.values() for each in counts)
        spare = {
            group: counts
            for group, counts in lender.items()
            if name in counts and all(holders[each] > 1 for each in counts)
        }
        if spare:
            _move_smallest(spare, lender, borrower)
    if not borrower:
        _move_smallest(lender, lender, borrower)


def _move_smallest(
    candidates: dict[int, Counts], lender: dict[int, Counts], borrower: dict[int, Counts]
) -> None:
    smallest = min(candidates, key=lambda group: lender[group].total())
    borrower[smallest] = lender.pop(smallest)


def _total(groups: dict[int, Counts]) -> Counts:
    return sum(groups.values(), Counter())


def _distance(counts: Counts, target: dict[str, float]) -> float:
    return sum((counts[name] - count) ** 2 for name, count in target.items())


def _class(row: Row) -> str:
    if not row.labelled:
        return "unlabelled"
    return "good" if row.good else "bad"
