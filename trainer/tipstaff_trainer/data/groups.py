"""Groups of rows that belong together: no split separates them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from tipstaff.types import FIELDS, Field, Interaction
from tipstaff_trainer.data.rows import Row, text_hash

Text = TypeVar("Text", bound=Hashable)

# The output comes last: the other fields say more about which rows belong together.
_SHARED_BY: tuple[Field, ...] = ("input", "ground_truth", "output")


def derive_groups(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Gives a group to the rows without one: rows with the same input belong together.

    Rows without an input are compared by the ground truth, then by the output. A text that more
    than half of the rows share (an instruction, a policy) doesn't show which rows belong together,
    so the next field is compared instead. Texts are compared without case and white space.

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
        common = _common(texts.values(), len(rows))
        groups |= {
            index: text_hash((name, text)) for index, text in texts.items() if text not in common
        }
        if common and name == "input":
            notes.append(
                "more than half of the rows have the same input, so those are not kept on one "
                "side of a split; name what belongs together in a column group"
            )
    return [
        row if row.group else replace(row, group=groups.get(index) or group_of_one(row))
        for index, row in enumerate(rows)
    ], notes


def group_of_one(row: Row) -> str:
    """The group of a row whose texts are all too common to group by: the row alone."""
    return text_hash(("id", row.id))


def unite(count: int, keys: Iterable[tuple[int, Hashable]]) -> list[int]:
    """Unites numbers that have a key in common, directly or through others.

    Args:
        count: The numbers are 0 to `count` - 1.
        keys: Numbers, each with a key of it.

    Returns:
        The lowest number that each is united with, so that they follow the order of the rows;
        shape (count,).
    """
    leader = list(range(count))

    def find(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    first: dict[Hashable, int] = {}
    for number, key in keys:
        one, other = find(number), find(first.setdefault(key, number))
        leader[max(one, other)] = min(one, other)
    return [find(number) for number in range(count)]


def united_groups(rows: Sequence[Row]) -> list[int]:
    """Each row's group as a number; groups that share an interaction are united.

    Otherwise the same texts could be both trained on and measured. A row without a group is its
    own group. As in `derive_groups`, an interaction that more than half of the rows share is
    ignored. Groups stay as they are if uniting them would put more than half of the rows into one
    group (answers of a word or two, say, without their questions): nothing could be split.
    """
    numbers: dict[str, int] = {}
    original = [
        numbers.setdefault(row.group, index) if row.group else index
        for index, row in enumerate(rows)
    ]
    texts = [folded_texts(row.interaction) for row in rows]
    common = _common(texts, len(rows))
    leaders = unite(
        len(rows),
        (
            (group, text)
            for group, text in zip(original, texts, strict=True)
            if text not in common and any(text)
        ),
    )
    united = [leaders[group] for group in original]
    largest = _largest(united)
    return original if 2 * largest > len(rows) and largest > _largest(original) else united


def folded_texts(interaction: Interaction) -> tuple[str, ...]:
    """An interaction's texts without case and white space; an absent one is empty."""
    return tuple(_folded(interaction.get(name)) for name in FIELDS)


def _common(texts: Iterable[Text], rows: int) -> set[Text]:
    """The texts that more than half of the rows share."""
    return {text for text, count in Counter(texts).items() if count > 1 and 2 * count > rows}


def _largest(groups: Sequence[int]) -> int:
    return max(Counter(groups).values(), default=0)


def _folded(text: str | None) -> str:
    return " ".join((text or "").casefold().split())
