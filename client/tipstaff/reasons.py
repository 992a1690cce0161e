"""Which fields of an interaction a score's reasons are about.

Replies say only that a field is missing or ignored; coverage tells which, as it has an entry for
each field that the evaluator reads.
"""

from __future__ import annotations

from tipstaff.types import FIELDS, Field, Interaction, Reason, Score


def fields_of(reason: Reason, score: Score, interaction: Interaction) -> tuple[Field, ...]:
    """The fields that one of a score's reasons is about; empty for reasons about none.

    Args:
        reason: The reason.
        score: The score.
        interaction: What was scored.
    """
    if reason not in score.reasons:
        return ()
    if reason is Reason.MISSING_FIELD:
        absent = [field for field in FIELDS if interaction.get(field) is None]
        # Without coverage, any of them may be meant.
        return tuple(field for field in absent if field in score.coverage) or tuple(absent)
    if reason is Reason.IGNORED_FIELD and score.coverage:
        present = [field for field in FIELDS if interaction.get(field) is not None]
        return tuple(field for field in present if field not in score.coverage)
    return ()


def reasons_with_fields(score: Score, interaction: Interaction) -> list[str]:
    """A score's reasons, each with its fields, as in `MISSING_FIELD (ground_truth)`."""
    return [
        f"{reason} ({', '.join(fields)})"
        if (fields := fields_of(reason, score, interaction))
        else str(reason)
        for reason in score.reasons
    ]
