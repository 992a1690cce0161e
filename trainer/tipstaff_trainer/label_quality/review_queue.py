"""Ranking a judge's rows for review by people."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from tipstaff_trainer.data import Row, Selection

RankBy = Literal["error", "uncertainty", "disagreement"]
RANKINGS: tuple[RankBy, ...] = get_args(RankBy)
Floats = npt.NDArray[np.float64]

# The confidence of a verdict without a probability, and the cap of all others.
_SURE = 0.95
_SUREST = 0.99


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """A row to review.

    Attributes:
        row: The row with its label so far.
        selection: `random` for the slice drawn uniformly; `disputed` if an opinion contradicts the
            judge, else `uncertain`.
        priority: In [0, 1]; what it measures depends on the ranking.
        why: The opinions in words, for the reviewer.
    """

    row: Row
    selection: Selection
    priority: float
    why: str


def rank_for_review(
    rows: Sequence[Row],
    *,
    count: int,
    random_share: float = 0.2,
    rank_by: RankBy = "error",
    judges: Sequence[Mapping[str, float]] = (),
    scores: Sequence[float] | None = None,
    out_of_fold: Sequence[float] | None = None,
    seed: int = 0,
) -> list[QueuedRow]:
    """Ranks a judge's rows for review.

    `error` ranks by the probability that the label is wrong: one minus the probability of its class
    in the pooled opinions of the judge, other judges, the evaluator and the other rows (the mean of
    their log odds; a logarithmic opinion pool, Genest and Zidek 1986). With bare verdicts of the
    judge that is confident learning's self-confidence (Northcutt et al. 2021). `uncertainty` ranks
    by how near the judge's own label, a probability or a share of samples, is to one half.
    `disagreement` ranks by the distance between the two opinions that differ most.

    The random slice is drawn first, uniformly from all rows that no person has labelled, and spread
    evenly over the queue: its share is right wherever the reviewer stops.

    Args:
        rows: Rows with the judge's labels; rows labelled by people or not at all are left out.
        count: Most rows in the queue.
        random_share: Share of the queue that is drawn at random, in [0, 1].
        rank_by: The order of the rest.
        judges: Other judges' labels, by row id; not every row needs one.
        scores: An evaluator's score of each of `rows`; NaN for none. An evaluator that was trained
            on these very labels agrees with the judge's mistakes: give out-of-fold scores instead.
        out_of_fold: Out-of-fold probability of each of `rows` (`label_errors`); NaN for none.
        seed: Seeds the random draw.
    """
    names, opinions = _opinions(rows, judges, scores, out_of_fold)
    candidates = [
        index for index, row in enumerate(rows) if row.labelled and row.label_source != "human"
    ]
    priorities = _priorities(opinions, rank_by)
    # Shuffle, so that ties (as of bare verdicts alone) don't follow the file's order.
    shuffled = random.Random(seed).sample(candidates, len(candidates))
    count = min(count, len(candidates))
    draws = round(count * random_share)
    drawn, rest = shuffled[:draws], shuffled[draws:][::-1]
    ranked = sorted(rest, key=lambda index: -priorities[index])[: count - draws]
    random_rows = set(drawn)
    return [
        QueuedRow(
            row=rows[index],
            selection="random" if index in random_rows else _selection(opinions[:, index]),
            priority=float(priorities[index]),
            why=_why(names, opinions[:, index]),
        )
        for index in interleave(drawn, ranked)
    ]


def interleave(drawn: Sequence[int], ranked: Sequence[int]) -> list[int]:
    """Merges two lists evenly, keeping the order of each."""
    parts = (drawn, ranked)
    places = [(place + 0.5) / len(part) for part in parts for place in range(len(part))]
    items = [*drawn, *ranked]
    return [items[index] for index in np.argsort(places, kind="stable")]


def _opinions(
    rows: Sequence[Row],
    judges: Sequence[Mapping[str, float]],
    scores: Sequence[float] | None,
    out_of_fold: Sequence[float] | None,
) -> tuple[list[str], Floats]:
    """All opinions, the judge's first: whose they are, and an array of shape (names, rows)."""
    opinions: dict[str, Sequence[float]] = {"judge": [row.label for row in rows]}
    for number, judge in enumerate(judges, start=2):
        opinions[f"judge {number}"] = [judge.get(row.id, np.nan) for row in rows]
    if scores is not None:
        opinions["evaluator"] = scores
    if out_of_fold is not None:
        opinions["other rows"] = out_of_fold
    return list(opinions), np.array(list(opinions.values()), dtype=float)


def _priorities(opinions: Floats, rank_by: RankBy) -> Floats:
    judge = opinions[0]
    if rank_by == "uncertainty":
        return np.asarray(1 - np.abs(2 * judge - 1))
    opinions = np.where(np.isnan(judge), 0.5, opinions)
    if rank_by == "disagreement":
        return np.asarray(np.nanmax(opinions, axis=0) - np.nanmin(opinions, axis=0))
    cap = np.where((opinions == 0) | (opinions == 1), _SURE, _SUREST)
    capped = np.clip(opinions, 1 - cap, cap)
    pooled = 1 / (1 + np.exp(-np.nanmean(np.log(capped / (1 - capped)), axis=0)))
    return np.asarray(np.where(judge >= 0.5, 1 - pooled, pooled))


def _selection(opinions: Floats) -> Selection:
    known = opinions[~np.isnan(opinions)]
    return "disputed" if ((known >= 0.5) != (known[0] >= 0.5)).any() else "uncertain"


def _why(names: Sequence[str], opinions: Floats) -> str:
    return ", ".join(
        f"{name} {'good' if value >= 0.5 else 'bad'} ({value:.2f})"
        for name, value in zip(names, opinions, strict=True)
        if not np.isnan(value)
    )
