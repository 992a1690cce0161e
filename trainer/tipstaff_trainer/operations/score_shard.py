"""Scores one shard: a pure function of a bundle and some interactions, for any engine to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tipstaff.types import Interaction
from tipstaff_server.evaluator import Evaluator


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """What is written for a row.

    Attributes:
        score: Calibrated probability in [0, 1]; None where the row has no text that is read, or
            got no answer.
        verdict: PASS, REVIEW or BLOCK; empty without a score.
        reasons: What to know about the score, or why there is none.
        scorer: The evaluator that a server scored it with, as in `support version 3 (int8/cpu)`.
    """

    score: float | None
    verdict: str
    reasons: str
    scorer: str = ""


def score_shard(bundle: Path, interactions: Sequence[Interaction]) -> list[ScoredRow]:
    """Scores interactions in order, in one thread.

    Args:
        bundle: The bundle's folder; a process loads it once.
        interactions: One for each row.

    Raises:
        BundleError: The bundle is damaged.
    """
    evaluator = _load(bundle)
    fields = evaluator.manifest.fields
    scored = []
    for interaction in interactions:
        if not any((interaction.get(name) or "").strip() for name in fields):
            scored.append(ScoredRow(None, "", f"no text in {' or '.join(fields)}"))
            continue
        prediction = evaluator.score(interaction)
        reasons = ", ".join(reason.value for reason in prediction.reasons)
        scored.append(ScoredRow(prediction.score, prediction.verdict.value, reasons))
    return scored


@cache
def _load(bundle: Path) -> Evaluator:
    return Evaluator.load(bundle)
