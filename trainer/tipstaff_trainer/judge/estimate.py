"""What a job would ask and cost, without asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.criteria import Criterion
from tipstaff_trainer.judge.prompt import Prompt, as_text, estimate_tokens
from tipstaff_trainer.judge.question import FORMS, Plan
from tipstaff_trainer.judge.replies import LabelKind
from tipstaff_trainer.judge.settings import JudgeSettings

# A verdict and a reason of a sentence or two.
_TOKENS_A_REPLY = 60


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job comes to.

    Attributes:
        prompt: The conversation about the first row, for people to read.
        calls: Replies in all.
        tokens: Of prompts and replies together, about.
        cost: The same in money, in the prices' currency.
        most: With every reply as long as may be and with a prompt of its own, and none that can't
            be read.
        notes: What the figures rest on.
    """

    prompt: str
    calls: int
    tokens: int
    cost: float
    most: float
    notes: tuple[str, ...]


def estimate(
    rows: Sequence[Row],
    criterion: Criterion,
    settings: JudgeSettings,
    *,
    examples: Sequence[Row] = (),
) -> Estimate:
    """Estimates a job from its rows' lengths; an endpoint counts its own tokens.

    Raises:
        JudgeError: The criterion names a column that no row has.
    """
    notes = criterion.check_columns(rows)
    kind: LabelKind = "logprobs" if settings.soft == "auto" else settings.soft
    if settings.soft == "auto" and settings.samples > 1:
        notes.append(
            f"this is for an endpoint that gives log-probabilities; one that doesn't is asked "
            f"{settings.samples} times a row, unless told otherwise by --samples 1"
        )
    plan = Plan(Prompt(criterion, FORMS[kind], tuple(examples)), kind, settings)
    # Several replies to one question share its prompt, where the endpoint can.
    prompt_tokens = sum(estimate_tokens(plan.question(row).messages) for row in rows)
    calls = len(rows) * plan.wanted
    reply_tokens = calls * min(_TOKENS_A_REPLY, settings.max_reply_tokens)
    return Estimate(
        prompt=as_text(plan.question(rows[0]).messages),
        calls=calls,
        tokens=prompt_tokens + reply_tokens,
        cost=settings.cost(prompt_tokens, reply_tokens),
        most=settings.cost(prompt_tokens * plan.wanted, calls * settings.max_reply_tokens),
        notes=tuple(notes),
    )
