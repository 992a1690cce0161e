"""From a score to what a protocol does with the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tipstaff.reasons import fields_of
from tipstaff.types import Interaction, Reason, Score, Verdict

Review = Literal["block", "allow"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one answer.

    Attributes:
        verdict: The score's verdict; REVIEW in place of PASS where parts were not read.
        blocked: Whether the answer is held back.
        explanation: Why, in one line, without any text of the interaction.
        missing: Fields that the evaluator reads and the request didn't have.
        unread: Kinds of parts that no evaluator reads, such as `image`.
        score: The score.
    """

    verdict: Verdict
    blocked: bool
    explanation: str
    missing: tuple[str, ...]
    unread: tuple[str, ...]
    score: Score


def decide(
    score: Score, interaction: Interaction, *, review: Review, unread: Sequence[str] = ()
) -> Decision:
    """Decides whether an answer passes.

    A missing field always blocks: it is a mistake in the mapping or the app, and nobody would
    notice it otherwise.

    Args:
        score: The answer's score.
        interaction: What was scored.
        review: Whether REVIEW passes.
        unread: Kinds of parts of the request or the answer that were not read.
    """
    missing = fields_of(Reason.MISSING_FIELD, score, interaction)
    verdict = score.verdict
    if verdict is Verdict.PASS and (missing or unread):
        verdict = Verdict.REVIEW
    blocked = (
        verdict is Verdict.BLOCK
        or bool(missing)
        or (verdict is Verdict.REVIEW and review == "block")
    )
    return Decision(
        verdict, blocked, _explain(score, verdict, missing, unread), missing, tuple(unread), score
    )


def _explain(score: Score, verdict: Verdict, missing: Sequence[str], unread: Sequence[str]) -> str:
    name = score.evaluator or "evaluator"
    parts = [f"{name}: {verdict}"]
    if score.score is not None:
        parts.append(f"score {score.score:.3f}")
    if score.pass_at is not None and score.block_below is not None:
        parts.append(f"PASS at {score.pass_at:.3f}, BLOCK below {score.block_below:.3f}")
    if missing:
        parts.append(f"missing: {' and '.join(missing)}")
    if unread:
        counts = Counter(unread)
        parts.append(
            "not read: "
            + ", ".join(f"{kind} ×{n}" if n > 1 else kind for kind, n in counts.items())
        )
    if score.reasons:
        parts.append("reasons: " + ", ".join(score.reasons))
    return "; ".join(parts)
