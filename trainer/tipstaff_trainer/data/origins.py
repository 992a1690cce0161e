"""Who gave the labels of rows: judges with their prompts, and how many people.

It is read from columns that `tipstaff label` and the workspace write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tipstaff_trainer.data.rows import Row

JUDGE_COLUMN = "judge"
PROMPT_COLUMN = "prompt_hash"
REVIEWER_COLUMN = "reviewer"
# Between the names of several people who labelled one row.
REVIEWER_SEPARATOR = "; "


@dataclass(frozen=True, slots=True)
class LabelOrigins:
    """Who gave the labels of some rows.

    Attributes:
        judges: Rows by judge and hash of its prompt, the most rows first; either is empty if the
            rows don't say.
        reviewers: How many people labelled rows; None if the rows don't say who did.
    """

    judges: tuple[tuple[str, str, int], ...]
    reviewers: int | None


def label_origins(rows: Iterable[Row]) -> LabelOrigins:
    """Who gave the labels of some rows. Nobody's name is kept."""
    judges: Counter[tuple[str, str]] = Counter()
    people: set[str] = set()
    for row in rows:
        if row.label_source == "judge":
            judges[row.extra.get(JUDGE_COLUMN, ""), row.extra.get(PROMPT_COLUMN, "")] += 1
        elif row.label_source == "human":
            names = row.extra.get(REVIEWER_COLUMN, "").split(REVIEWER_SEPARATOR)
            people.update(filter(None, names))
    by_rows = sorted(judges.items(), key=lambda each: (-each[1], each[0]))
    return LabelOrigins(
        tuple((judge, prompt, count) for (judge, prompt), count in by_rows), len(people) or None
    )
