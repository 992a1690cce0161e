"""Reading a judge's replies. A reply that doesn't keep to the form is never interpreted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel

from tipstaff_trainer.judge.prompt import Form

LabelKind = Literal["logprobs", "samples", "verdict"]

# If Yes and No have less probability than this, the judge was choosing between other words.
_LEAST_MASS = 0.5
# If tokens that aren't shown may have more than this share of it, the ratio is unreliable.
_MOST_UNSEEN = 0.05
# A verdict may follow so many tokens: spaces, quotes, asterisks.
_FIRST_TOKENS = 4
_VERDICTS = {"yes": True, "no": False}
# Ends a reasoning model's thoughts, where the endpoint leaves them in.
_END_OF_THOUGHT = "</think>"
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a judge as it came.

    Attributes:
        text: Its text.
        finish_reason: Why it ended, in the endpoint's words; `length` if it was cut.
        first_tokens: Log-probabilities of the alternatives for each of the first tokens; empty if
            the endpoint gives none.
        prompt_tokens: Prompt tokens charged to this reply; 0 for all but the first of a call.
        reply_tokens: Reply tokens charged to it, likewise.
    """

    text: str
    finish_reason: str = ""
    first_tokens: tuple[Mapping[str, float], ...] = ()
    prompt_tokens: int = 0
    reply_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Opinion:
    """The opinion that one reply states.

    Attributes:
        label: Probability in [0, 1] that the criterion is met.
        kind: Where it comes from: `logprobs` or the bare `verdict`.
        reason: The judge's reason.
    """

    label: float
    kind: LabelKind
    reason: str


def read_reply(reply: Reply, form: Form) -> Opinion | None:
    """Reads a verdict and its reason; None if the reply doesn't keep to the form.

    The verdict may follow the judge's thoughts; then the log-probabilities are not the verdict's.
    """
    parse = _parse_json if form == "json" else _parse_verdict_first
    opinion = parse(reply)
    # A second mark might be quoted from the judged text.
    if opinion is None and reply.text.count(_END_OF_THOUGHT) == 1:
        answer = reply.text.partition(_END_OF_THOUGHT)[2]
        opinion = parse(replace(reply, text=answer, first_tokens=()))
    return opinion


def combine(opinions: Sequence[Opinion]) -> Opinion:
    """Combines opinions about one row into one: the share of Yes.

    The reason is the first one on the majority's side.
    """
    if len(opinions) == 1:
        return opinions[0]
    share = math.fsum(opinion.label for opinion in opinions) / len(opinions)
    side = next(each for each in opinions if (each.label >= 0.5) == (share >= 0.5))
    return Opinion(share, "samples", side.reason)


class _Answer(BaseModel):
    verdict: Literal["Yes", "No"]
    reason: str = ""


def _parse_json(reply: Reply) -> Opinion | None:
    text = reply.text.strip()
    fence = _FENCE.match(text)
    try:
        values: Any = json.loads(fence[1] if fence else text)
        if isinstance(values, dict) and isinstance(values.get("verdict"), str):
            values["verdict"] = values["verdict"].strip().capitalize()
        answer = _Answer.model_validate(values)
    except (ValueError, RecursionError):
        return None
    return Opinion(float(answer.verdict == "Yes"), "verdict", answer.reason.strip())


def _parse_verdict_first(reply: Reply) -> Opinion | None:
    match = re.match(r"[\s\"'*_#]*(yes|no)\b[\s\"'*_.,:;!–—-]*", reply.text, re.IGNORECASE)
    if match is None:
        return None
    verdict = _VERDICTS[match[1].lower()]
    reason = reply.text[match.end() :].strip()
    share = _share_of_yes(reply.first_tokens)
    if share is None:
        return Opinion(float(verdict), "verdict", reason)
    return Opinion(share, "logprobs", reason)


def _share_of_yes(tokens: Sequence[Mapping[str, float]]) -> float | None:
    """The probability of Yes relative to Yes and No, all spellings added up.

    None if it is unknown: an endpoint that shows only the chosen token tells nothing about the
    other verdict.
    """
    for alternatives in tokens[:_FIRST_TOKENS]:
        mass = {True: 0.0, False: 0.0}
        for token, logprob in alternatives.items():
            verdict = _VERDICTS.get(re.sub(r"\W", "", token).lower())
            if verdict is not None:
                mass[verdict] += math.exp(logprob)
        total = mass[True] + mass[False]
        if total >= _LEAST_MASS:
            return mass[True] / total if _unseen(alternatives) <= _MOST_UNSEEN * total else None
        if re.search(r"\w", max(alternatives, key=lambda token: alternatives[token], default="")):
            return None
    return None


def _unseen(alternatives: Mapping[str, float]) -> float:
    """Upper bound of the probability of any token that isn't shown.

    It has at most what the shown ones leave, and at most as much as the least likely of them.
    """
    probabilities = [math.exp(logprob) for logprob in alternatives.values()]
    return min(1 - math.fsum(probabilities), *probabilities)
