"""Which rows a person should see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tipstaff_trainer.data import Row, Selection

RankBy = Literal["error", "uncertainty", "disagreement"]
RANKINGS: tuple[RankBy, ...] = get_args(RankBy)


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """A row that waits for a person.

    Attributes:
        row: With its label so far.
        selection: `random` for the slice drawn uniformly, `uncertain` where the judge was unsure,
            `disputed` where others disagree with the judge.
        priority: In [0, 1]: how much there is to learn from a look at it.
        why: The same in words, for the person.
    """

    row: Row
    selection: Selection
    priority: float
    why: str


def review_queue(
    rows: Sequence[Row],
    *,
    count: int,
    random_share: float = 0.2,
    rank_by: RankBy = "error",
    judges: Sequence[Mapping[str, float]] = (),
    scores: Sequence[float] | None = None,
    seed: int = 0,
) -> list[QueuedRow]:
    """Ranks a judge's rows for review.

    Args:
        rows: With the judge's labels; rows by people are left out.
        count: How many rows the queue is to have at most.
        random_share: Share of the queue that is drawn uniformly from all rows.
        rank_by: The order of the rest.
        judges: Other judges' labels, by row id.
        scores: What an evaluator says of each row: calibrated probabilities, better out of fold.
        seed: Of the random draw.
    """
    raise NotImplementedError
