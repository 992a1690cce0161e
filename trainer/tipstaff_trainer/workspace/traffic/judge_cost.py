"""What a judge would have cost for the same answers, by what its last labelling cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tipstaff_trainer.workspace.db.models import Job


@dataclass(frozen=True, slots=True)
class JudgeCost:
    """The cost of judging answers.

    Attributes:
        tokens: Tokens, prompt and reply; None if they are not known.
        cost: In the currency of the labelling's prices; None if it had none.
        job_id: The labelling that this is computed from.
    """

    tokens: float | None
    cost: float | None
    job_id: int


def judge_cost(jobs: Sequence[Job], answers: int) -> JudgeCost | None:
    """The cost of judging so many answers; None if no labelling says.

    Args:
        jobs: Labelling jobs, the latest first.
        answers: Answers to judge.
    """
    for job in jobs:
        labelled = job.result.get("labelled") or 0
        tokens, cost = job.result.get("tokens"), job.result.get("cost")
        if not labelled or (not tokens and not cost):
            continue
        return JudgeCost(
            tokens=float(tokens) / labelled * answers if tokens else None,
            cost=float(cost) / labelled * answers if cost else None,
            job_id=job.id,
        )
    return None
