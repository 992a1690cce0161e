"""Label check: what a judge's endpoint can do, found out by two calls about one row."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from threading import Event

from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.criteria import JudgeCriterion
from tipstaff_trainer.judge.endpoint import Endpoint, RefusedError
from tipstaff_trainer.judge.live import ask
from tipstaff_trainer.judge.prompt import Prompt
from tipstaff_trainer.judge.question import Plan, form_of
from tipstaff_trainer.judge.replies import LabelKind, Reply, read_reply
from tipstaff_trainer.judge.settings import JudgeSettings, check_api_key
from tipstaff_trainer.progress import Reporter

_SAMPLES_TRIED = 2


@dataclass(frozen=True, slots=True)
class EndpointCheck:
    """What an endpoint can do, and what is wrong.

    Attributes:
        logprobs: Whether it gives log-probabilities that tell Yes from No.
        samples: Whether one call brings several replies.
        structured: Whether it holds replies to a JSON schema, or at least accepts one.
        readable: Whether replies in JSON can be read.
        seconds: How long the slower of the two calls took.
        prompt_tokens: Prompt tokens of one question.
        reply_tokens: Reply tokens of one reply.
        cost: Money for one row by the kind of label that would be asked for; 0 without prices.
        reply: The reply in JSON, as it came.
        without: The parameters that it refused.
        problems: What is wrong, one line each.
    """

    logprobs: bool
    samples: bool
    structured: bool
    readable: bool
    seconds: float
    prompt_tokens: int
    reply_tokens: int
    cost: float
    reply: str
    without: tuple[str, ...]
    problems: tuple[str, ...]


def check_endpoint(
    row: Row, criterion: JudgeCriterion, settings: JudgeSettings, *, api_key: str | None = None
) -> EndpointCheck:
    """Asks about one row, once for log-probabilities and once for samples.

    The replies are not kept: a later labelling asks again.

    Raises:
        UsageError: The key or a header can't be sent.
        JudgeError: The endpoint refuses all calls, or doesn't answer.
    """
    return asyncio.run(_check(row, criterion, settings, check_api_key(api_key)))


async def _check(
    row: Row, criterion: JudgeCriterion, settings: JudgeSettings, api_key: str
) -> EndpointCheck:
    def plan(kind: LabelKind) -> Plan:
        return Plan(Prompt(criterion, form_of(kind)), kind, settings)

    problems: list[str] = []
    seconds = []
    by_kind: dict[LabelKind, list[Reply]] = {}
    endpoint = Endpoint(settings, Event(), api_key=api_key, reporter=Reporter())
    kinds: tuple[tuple[LabelKind, int], ...] = (("logprobs", 1), ("samples", _SAMPLES_TRIED))
    async with endpoint:
        for kind, count in kinds:
            started = time.perf_counter()
            try:
                by_kind[kind] = await ask(endpoint, plan(kind).question(row), count)
            except RefusedError as error:
                problems.append(f"a question for {kind} is refused: {error}")
                by_kind[kind] = []
            seconds.append(time.perf_counter() - started)
    first, several = by_kind["logprobs"], by_kind["samples"]
    best = plan("logprobs").opinion(plan("logprobs").question(row), first)
    question = plan("samples").question(row)
    asked = question.messages[-1]["content"]
    unread = [reply for reply in several if read_reply(reply, "json", asked) is None]
    if unread:
        problems.append(plan("samples").complaint(unread))
    logprobs = best is not None and best.kind == "logprobs"
    paid = first if logprobs else several
    prompt_tokens = sum(reply.prompt_tokens for reply in paid)
    reply_tokens = sum(reply.reply_tokens for reply in paid) // max(1, len(paid))
    replies = 1 if logprobs or settings.soft == "verdict" else settings.samples
    prompts = replies if "n" in endpoint.dialect.without or len(several) < _SAMPLES_TRIED else 1
    return EndpointCheck(
        logprobs=logprobs,
        samples=len(several) == _SAMPLES_TRIED,
        structured=bool(several) and "response_format" not in endpoint.dialect.without,
        readable=bool(several) and not unread,
        seconds=max(seconds),
        prompt_tokens=prompt_tokens,
        reply_tokens=reply_tokens,
        cost=settings.cost(prompts * prompt_tokens, replies * reply_tokens),
        reply=several[-1].text if several else "",
        without=tuple(sorted(endpoint.dialect.without)),
        problems=tuple(problems),
    )
