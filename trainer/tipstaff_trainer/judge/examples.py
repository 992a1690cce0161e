"""Choosing reviewed rows to show a judge as examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tipstaff.types import FIELDS
from tipstaff_trainer.data import Row, without_groups_of

MOST_EXAMPLES = 20
# In files that the desk writes, this column is `test` for held-out rows.
_SPLIT_COLUMN = "split"


def choose_examples(reviewed: Sequence[Row], count: int) -> tuple[Row, ...]:
    """Chooses examples that differ from each other, as many good as bad.

    Farthest-first traversal (Gonzalez 1985) over the cosine distance of tf-idf vectors of a row's
    texts; it starts with the row nearest to the centre of its class. At most one row of a group.
    Rows with a label by a person are preferred: others are used only if there are none.

    Rows for measuring or certifying are never chosen: rows drawn at random, rows of the test part
    (column `split`), and rows of their groups. A judge that has seen them would agree with people
    better there than elsewhere.

    Args:
        reviewed: Labelled rows.
        count: How many; fewer are returned if there are fewer.

    Returns:
        Good and bad in turns, so that the list doesn't end with a run of one class.
    """
    labelled = [row for row in reviewed if row.labelled]
    rows = without_groups_of(
        [row for row in labelled if not _held_out(row)], [row for row in labelled if _held_out(row)]
    )
    rows = [row for row in rows if row.label_source == "human"] or rows
    if not rows:
        return ()
    # Imported here: it takes seconds, and the desk imports this package when it starts.
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|\S").fit_transform(
        " ".join(row.interaction.get(name) or "" for name in FIELDS) for row in rows
    )
    waiting = list(range(len(rows)))
    chosen: list[int] = []
    while len(chosen) < count and waiting:
        # The class with fewer rows so far; once it has no more, the other one.
        behind = sum(rows[index].good for index in chosen) * 2 < len(chosen)
        candidates = [index for index in waiting if rows[index].good is behind] or waiting
        index = _farthest(vectors, candidates, chosen)
        chosen.append(index)
        group = rows[index].group
        waiting = [
            each for each in waiting if each != index and not (group and rows[each].group == group)
        ]
    return tuple(rows[index] for index in chosen)


def _held_out(row: Row) -> bool:
    part = row.extra.get(_SPLIT_COLUMN, "").strip().casefold()
    return row.selection == "random" or part == "test"


def _farthest(vectors: Any, candidates: Sequence[int], chosen: Sequence[int]) -> int:
    """The candidate farthest from its nearest neighbour among the chosen rows."""
    matrix = vectors[candidates]
    if not chosen:
        centre = np.asarray(matrix.mean(axis=0)).ravel()
        return candidates[int(np.argmax(matrix @ centre))]
    nearest = (matrix @ vectors[chosen].T).toarray().max(axis=1)
    return candidates[int(np.argmin(nearest))]
