"""Which rows a person should see."""

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

# A verdict without a probability is taken for this sure, and nobody for surer than the second.
_SURE = 0.95
_SUREST = 0.99


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """A row that waits for a person.

    Attributes:
        row: With its label so far.
        selection: `random` for the slice drawn uniformly, `disputed` where somebody takes the other
            side, `uncertain` where nobody does, but somebody is unsure.
        priority: In [0, 1], by what the queue is ranked by.
        why: In words, for the person.
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
    out_of_fold: Sequence[float] | None = None,
    seed: int = 0,
) -> list[QueuedRow]:
    """Ranks a judge's rows for review.

    By likely label `error`: one minus the probability of the label's class, as the judge, further
    judges, the evaluator and the other rows have it together (the mean of their log odds; a
    logarithmic opinion pool, Genest and Zidek 1986). Where the judge gave bare verdicts that is
    confident learning's self-confidence (Northcutt et al. 2021). By `uncertainty`: how near the
    judge's own label, be it from log-probabilities or a share of samples, is to one half. By
    `disagreement`: the distance between the two who differ most.

    The random slice is drawn first, uniformly from all rows that no person has labelled, and spread
    evenly over the queue, so that it is in proportion wherever the person stops.

    Args:
        rows: With the judge's labels; rows by people, and rows without a label, are left out.
        count: How many rows the queue is to have at most.
        random_share: Share of the queue that is drawn at random, in [0, 1].
        rank_by: The order of the rest.
        judges: Other judges' labels, by row id; a row may be unknown to them.
        scores: What an evaluator says of each of `rows`, probabilities; NaN where it says nothing.
            Of an evaluator that was trained on these very labels, take scores out of fold, or it
            will agree with the judge's mistakes.
        out_of_fold: What the other rows say of each of `rows` (`label_errors`), likewise.
        seed: Of the random draw.
    """
    names, voices = _voices(rows, judges, scores, out_of_fold)
    candidates = [
        index for index, row in enumerate(rows) if row.labelled and row.label_source != "human"
    ]
    priorities = _priorities(voices, rank_by)
    generator = random.Random(seed)
    # Ties, as of bare verdicts with nothing beside them, in no order rather than the file's.
    shuffled = generator.sample(candidates, len(candidates))
    wanted = min(count, len(candidates))
    drawn = shuffled[: round(wanted * random_share)]
    taken = set(drawn)
    ranked = sorted(
        (index for index in reversed(shuffled) if index not in taken),
        key=lambda index: -priorities[index],
    )[: wanted - len(drawn)]
    return [
        QueuedRow(
            row=rows[index],
            selection="random" if index in taken else _selection(voices[:, index]),
            priority=float(priorities[index]),
            why=_why(names, voices[:, index]),
        )
        for index in spread(drawn, ranked)
    ]


def spread(drawn: Sequence[int], ranked: Sequence[int]) -> list[int]:
    """Both in their order, the few evenly among the many, wherever a person stops."""
    places = [((place + 0.5) / len(part), index) for part in (drawn, ranked)
              for place, index in enumerate(part)]  # fmt: skip
    return [index for _, index in sorted(places, key=lambda each: each[0])]


def _voices(
    rows: Sequence[Row],
    judges: Sequence[Mapping[str, float]],
    scores: Sequence[float] | None,
    out_of_fold: Sequence[float] | None,
) -> tuple[list[str], Floats]:
    """Who has a say, the judge first, and what they say, one line each; shape (voices, rows)."""
    voices: dict[str, Sequence[float]] = {"judge": [row.label for row in rows]}
    for number, judge in enumerate(judges, start=2):
        voices[f"judge {number}"] = [judge.get(row.id, np.nan) for row in rows]
    if scores is not None:
        voices["evaluator"] = scores
    if out_of_fold is not None:
        voices["other rows"] = out_of_fold
    return list(voices), np.array(list(voices.values()), dtype=float)


def _priorities(voices: Floats, rank_by: RankBy) -> Floats:
    judge = voices[0]
    if rank_by == "uncertainty":
        return np.asarray(1 - np.abs(2 * judge - 1))
    known = np.where(np.isnan(judge), 0.5, voices)
    if rank_by == "disagreement":
        return np.asarray(np.nanmax(known, axis=0) - np.nanmin(known, axis=0))
    bare = (known == 0) | (known == 1)
    sure = np.where(bare, np.clip(known, 1 - _SURE, _SURE), np.clip(known, 1 - _SUREST, _SUREST))
    pooled = 1 / (1 + np.exp(-np.nanmean(np.log(sure / (1 - sure)), axis=0)))
    return np.asarray(np.where(judge >= 0.5, 1 - pooled, pooled))


def _selection(voices: Floats) -> Selection:
    said = voices[~np.isnan(voices)]
    return "disputed" if ((said >= 0.5) != (said[0] >= 0.5)).any() else "uncertain"


def _why(names: Sequence[str], voices: Floats) -> str:
    return ", ".join(
        f"{name} {'good' if value >= 0.5 else 'bad'} ({value:.2f})"
        for name, value in zip(names, voices, strict=True)
        if not np.isnan(value)
    )
