"""Rows whose ids don't tell that they are one interaction: found by their texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from tipstaff_trainer.data.groups import folded_texts
from tipstaff_trainer.data.rows import Row

_SHOWN = 2


def match_people_by_text(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Gives people's labels the id of the row that they are about, where ids don't match.

    Spreadsheets alter ids: `12E26` becomes `1.2E+27`. A person's label whose id no other row has,
    and whose texts one other labelled interaction has, is about that one, if that holds for most
    of such labels.

    Returns:
        The rows in their order, and notes for the user.
    """
    if not any(row.label_source == "human" for row in rows):
        return list(rows), []
    with_id: dict[str, set[str]] = defaultdict(set)
    others: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in rows:
        with_id[row.id].add(row.label_source)
        if row.labelled and row.label_source != "human":
            others[folded_texts(row.interaction)].add(row.id)
    matched: list[Row] = []
    places = []
    alone = 0
    for row in rows:
        if row.label_source == "human" and row.labelled and with_id[row.id] == {"human"}:
            alone += 1
            ids = others.get(folded_texts(row.interaction), set())
            if len(ids) == 1:
                places.append(row.place)
                row = replace(row, id=next(iter(ids)))
        matched.append(row)
    # Some interactions with equal texts are no sign of altered ids.
    if not places or 2 * len(places) < alone:
        return list(rows), []
    return _with_one_text(matched), [
        f"{len(places)} labels by people were matched to their rows by text, since no other row "
        f"has their ids (spreadsheets alter ids); the first is {places[0]}"
    ]


def contradictions(rows: Sequence[Row]) -> list[str]:
    """Notes on interactions that occur under several ids, with labels on both sides."""
    by_texts: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row.labelled:
            by_texts[folded_texts(row.interaction)].append(row)
    opposite = [
        same for same in by_texts.values() if len({row.good for row in same}) == 2 and len(same) > 1
    ]
    if not opposite:
        return []
    examples = "; ".join(
        " and ".join(f"{row.place or row.id} ({row.label:g})" for row in _one_of_each(same))
        for same in opposite[:_SHOWN]
    )
    count = len(opposite)
    return [
        f"{sum(map(len, opposite))} rows hold {count} interaction{'' if count == 1 else 's'} with "
        f"contradicting labels under different ids: {examples}"
    ]


def _one_of_each(same: Sequence[Row]) -> list[Row]:
    return [next(row for row in same if row.good is good) for good in (True, False)]


def _with_one_text(rows: Sequence[Row]) -> list[Row]:
    """Rows of one id with the texts of the first: they may differ in case and white space."""
    first: dict[str, Row] = {}
    result = []
    for row in rows:
        known = first.setdefault(row.id, row)
        same = folded_texts(known.interaction) == folded_texts(row.interaction)
        result.append(replace(row, interaction=known.interaction) if same else row)
    return result
