"""What labelling would cost, estimated without a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.criteria import JudgeCriterion
from tipstaff_trainer.judge.prompt import Prompt, as_text, estimate_tokens
from tipstaff_trainer.judge.question import Plan, form_of
from tipstaff_trainer.judge.replies import LabelKind
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.progress import Reporter

# A verdict and a reason of a sentence or two.
_TOKENS_A_REPLY = 60


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The expected calls and cost of labelling.

    Attributes:
        prompt: The conversation about the first row, for people to read.
        calls: Replies in all.
        tokens: Tokens of prompts and replies, roughly.
        cost: The same in money, in the prices' currency.
        max_cost: The cost if every reply is as long as allowed and comes with a prompt of its own,
            without retries for unreadable replies.
    """

    prompt: str
    calls: int
    tokens: int
    cost: float
    max_cost: float


def estimate_cost(
    rows: Sequence[Row],
    criterion: JudgeCriterion,
    settings: JudgeSettings,
    *,
    examples: Sequence[Row] = (),
    reporter: Reporter | None = None,
) -> CostEstimate:
    """Estimates calls and cost from the rows' lengths; an endpoint counts its own tokens.

    Raises:
        JudgeError: The criterion names a column that no row has.
    """
    reporter = reporter or Reporter()
    criterion.check_columns(rows, reporter)
    kind: LabelKind = "logprobs" if settings.soft == "auto" else settings.soft
    if settings.soft == "auto" and settings.samples > 1:
        reporter.note(
            "this holds for an endpoint that gives log-probabilities; any other is asked "
            f"{settings.samples} times a row",
            remedy="set {samples} to 1 to ask it once",
        )
    plan = Plan(Prompt(criterion, form_of(kind), tuple(examples)), kind, settings)
    # Several replies to one question share its prompt, where the endpoint can do that.
    prompt_tokens = sum(estimate_tokens(plan.question(row).messages) for row in rows)
    prompt_tokens_unshared = prompt_tokens * plan.replies_per_row
    calls = len(rows) * plan.replies_per_row
    reply_tokens = calls * min(_TOKENS_A_REPLY, settings.max_reply_tokens)
    return CostEstimate(
        prompt=as_text(plan.question(rows[0]).messages),
        calls=calls,
        tokens=prompt_tokens + reply_tokens,
        cost=settings.cost(prompt_tokens, reply_tokens),
        max_cost=settings.cost(prompt_tokens_unshared, calls * settings.max_reply_tokens),
    )
