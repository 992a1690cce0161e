"""What a judge's reply says. One that can't be read says nothing; it is never guessed at."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tipstaff_trainer.judge.prompt import Form

LabelKind = Literal["logprobs", "samples", "verdict"]

# Below it Yes and No are not what the judge was choosing between, and their ratio says little.
_LEAST_MASS = 0.5
# If what isn't shown may be more than this of it, neither does the ratio.
_MOST_UNSEEN = 0.05
# How many tokens a verdict may stand behind: spaces, quotes, asterisks.
_FIRST_TOKENS = 4
_VERDICTS = {"yes": True, "no": False}
# Reasoning models put it behind their thoughts, where the endpoint leaves them in.
_END_OF_THOUGHT = "</think>"
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a judge as it came.

    Attributes:
        text: Its words.
        finish_reason: As the endpoint says it; `length` where it was cut.
        first_tokens: For each of the first tokens, the log-probabilities of what could stand there;
            empty where the endpoint gives none.
        prompt_tokens: Paid for this reply; 0 for the further ones of one call.
        reply_tokens: Likewise.
    """

    text: str
    finish_reason: str = ""
    first_tokens: tuple[Mapping[str, float], ...] = ()
    prompt_tokens: int = 0
    reply_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one reply says.

    Attributes:
        label: Probability in [0, 1] that the criterion is met.
        kind: Where it comes from: `logprobs` or the bare `verdict`.
        reason: The judge's words for it.
    """

    label: float
    kind: LabelKind
    reason: str


def read_reply(reply: Reply, form: Form) -> Opinion | None:
    """Reads a verdict and its reason; None where the reply doesn't keep to the form.

    A reply may stand behind the judge's thoughts; then no log-probability is the verdict's.
    """
    read = _read_json if form == "json" else _read_verdict_first
    opinion = read(reply)
    # Were the mark there twice, one might be quoted from the text that is judged.
    if opinion is None and reply.text.count(_END_OF_THOUGHT) == 1:
        said = reply.text.partition(_END_OF_THOUGHT)[2]
        opinion = read(replace(reply, text=said, first_tokens=()))
    return opinion


def combine(opinions: Sequence[Opinion]) -> Opinion:
    """Several opinions about one row as one: the share of those who say Yes.

    The reason kept is the first of those on the majority's side.
    """
    if len(opinions) == 1:
        return opinions[0]
    share = math.fsum(opinion.label for opinion in opinions) / len(opinions)
    side = next(each for each in opinions if (each.label >= 0.5) == (share >= 0.5))
    return Opinion(share, "samples", side.reason)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    verdict: Literal["Yes", "No"]
    reason: str = ""


def _read_json(reply: Reply) -> Opinion | None:
    stripped = reply.text.strip()
    if fenced := _FENCE.match(stripped):
        stripped = fenced[1]
    try:
        values: Any = json.loads(stripped)
        if isinstance(values, dict) and isinstance(values.get("verdict"), str):
            values["verdict"] = values["verdict"].strip().capitalize()
        answer = _Answer.model_validate(values)
    except (ValueError, ValidationError, RecursionError):
        return None
    return Opinion(float(answer.verdict == "Yes"), "verdict", answer.reason.strip())


def _read_verdict_first(reply: Reply) -> Opinion | None:
    found = re.match(r"[\s\"'*_#]*(yes|no)\b[\s\"'*_.,:;!–—-]*", reply.text, re.IGNORECASE)
    if found is None:
        return None
    verdict = _VERDICTS[found[1].lower()]
    reason = reply.text[found.end() :].strip()
    share = _share_of_yes(reply.first_tokens)
    if share is None:
        return Opinion(float(verdict), "verdict", reason)
    return Opinion(share, "logprobs", reason)


def _share_of_yes(tokens: Sequence[Mapping[str, float]]) -> float | None:
    """The probability of Yes over that of Yes and No, all spellings added up.

    None where it isn't told: an endpoint that shows the chosen token alone says nothing of the
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
        if any(re.search(r"\w", token) for token in _likeliest(alternatives)):
            return None
    return None


def _unseen(alternatives: Mapping[str, float]) -> float:
    """The most that another token may have: no more than the least likely of those shown."""
    shown = [math.exp(logprob) for logprob in alternatives.values()]
    return min(1 - math.fsum(shown), *shown)


def _likeliest(alternatives: Mapping[str, float]) -> Sequence[str]:
    return [max(alternatives, key=lambda token: alternatives[token])] if alternatives else []
