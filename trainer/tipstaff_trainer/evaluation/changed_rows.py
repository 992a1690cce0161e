"""Rows that two evaluators treat differently, with their text."""

from __future__ import annotations

import numpy as np

from tipstaff.types import Verdict
from tipstaff_trainer.evaluation.base import Bools, Part
from tipstaff_trainer.evaluation.scored import RowText, ScoredRows


class ChangedRow(RowText):
    """A row that two evaluators treat differently."""

    first_score: float
    first_verdict: Verdict
    second_score: float
    second_verdict: Verdict


class ChangedVerdicts(Part):
    """Rows that only one of the two evaluators passes or blocks wrongly.

    Verdicts depend on each policy's cuts, so there may be many even where no decision at 0.5
    changed. The largest change of the score comes first.

    Attributes:
        bad_now_pass: Bad rows that only the second passes.
        good_now_blocked: Good rows that only the second blocks.
        bad_no_longer_pass: Bad rows that only the first passes.
        good_no_longer_blocked: Good rows that only the first blocks.
    """

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

    def only(one: ScoredRows, other: ScoredRows, verdict: Verdict) -> tuple[ChangedRow, ...]:
        wrong = one.wrongly(verdict) & ~other.wrongly(verdict)
        return changed_rows(first, second, wrong)

    return ChangedVerdicts(
        bad_now_pass=only(second, first, Verdict.PASS),
        good_now_blocked=only(second, first, Verdict.BLOCK),
        bad_no_longer_pass=only(first, second, Verdict.PASS),
        good_no_longer_blocked=only(first, second, Verdict.BLOCK),
    )


def _row(first: ScoredRows, second: ScoredRows, place: int) -> ChangedRow:
    before, after = first.predictions[place], second.predictions[place]
    return ChangedRow(
        **first.text(place),
        first_score=before.score,
        first_verdict=before.verdict,
        second_score=after.score,
        second_verdict=after.verdict,
    )
