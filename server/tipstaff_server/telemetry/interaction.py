"""One interaction that was answered or refused, as it is told of."""

from __future__ import annotations

from dataclasses import dataclass

from tipstaff.types import Score


@dataclass(frozen=True, slots=True)
class Interaction:
    """What happened to one interaction; none of its text.

    Attributes:
        request_id: Fit to print.
        caller: The caller's name; empty where callers aren't told apart.
        evaluator: The name of an evaluator in service, or empty.
        code: Name of the gRPC status code.
        seconds: From arrival to answer.
        score: The score; None for a refusal.
    """

    request_id: str
    caller: str
    evaluator: str
    code: str
    seconds: float
    score: Score | None

    @property
    def steps(self) -> tuple[tuple[str, float], ...]:
        """The steps one after another, with their seconds; none without a run."""
        timing = self.score.timing if self.score is not None else None
        if timing is None or not timing.inference:
            return ()
        return (
            ("encode", timing.encode),
            ("queue", timing.queue),
            ("run", timing.inference),
        )
