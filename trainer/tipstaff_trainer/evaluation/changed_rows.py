"""Rows that two evaluators treat differently, with their text."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from tipstaff.types import Verdict
from tipstaff_trainer.evaluation.scored import Bools, ScoredRows


class ChangedRow(BaseModel):
    """A row that two evaluators treat differently."""

    model_config = ConfigDict(frozen=True)

    id: str
    place: str
    label: float
    label_source: str
    first_score: float
    first_verdict: Verdict
    second_score: float
    second_verdict: Verdict
    input: str | None
    output: str | None
    ground_truth: str | None


class ChangedVerdicts(BaseModel):
    """Rows that only one of the two evaluators passes or blocks wrongly.

    Verdicts depend on each policy's cuts, so there may be many even where no decision at 0.5
    changed. The largest change of the score comes first.

    Attributes:
        bad_now_pass: Bad rows that only the second passes.
        good_now_blocked: Good rows that only the second blocks.
        bad_no_longer_pass: Bad rows that only the first passes.
        good_no_longer_blocked: Good rows that only the first blocks.
    """

    model_config = ConfigDict(frozen=True)

    bad_now_pass: tuple[ChangedRow, ...]
    good_now_blocked: tuple[ChangedRow, ...]
    bad_no_longer_pass: tuple[ChangedRow, ...]
    good_no_longer_blocked: tuple[ChangedRow, ...]


def changed_rows(first: ScoredRows, second: ScoredRows, chosen: Bools) -> tuple[ChangedRow, ...]:
    """The rows of a mask of shape (n,), the largest change of the score first."""
    places = np.flatnonzero(chosen)
    by_change = np.argsort(-np.abs(second.scores - first.scores)[places], kind="stable")
    return tuple(_row(first, second, place) for place in places[by_change].tolist())


def changed_verdicts(first: ScoredRows, second: ScoredRows) -> ChangedVerdicts:
    """Finds the rows that only one of the two passes or blocks wrongly."""
    passed, blocked = (
        [part.verdict_is(verdict) & wrong for part in (first, second)]
        for verdict, wrong in ((Verdict.PASS, ~first.good), (Verdict.BLOCK, first.good))
    )
    return ChangedVerdicts(
        bad_now_pass=changed_rows(first, second, passed[1] & ~passed[0]),
        good_now_blocked=changed_rows(first, second, blocked[1] & ~blocked[0]),
        bad_no_longer_pass=changed_rows(first, second, passed[0] & ~passed[1]),
        good_no_longer_blocked=changed_rows(first, second, blocked[0] & ~blocked[1]),
    )


def _row(first: ScoredRows, second: ScoredRows, place: int) -> ChangedRow:
    row = first.rows[place]
    return ChangedRow(
        id=row.id,
        place=row.place.rpartition(", ")[2],
        label=row.label,
        label_source=row.label_source,
        first_score=first.predictions[place].score,
        first_verdict=first.predictions[place].verdict,
        second_score=second.predictions[place].score,
        second_verdict=second.predictions[place].verdict,
        input=row.interaction.input,
        output=row.interaction.output,
        ground_truth=row.interaction.ground_truth,
    )
