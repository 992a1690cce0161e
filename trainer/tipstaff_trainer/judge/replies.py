"""Reading a judge's replies. A reply that doesn't keep to the form is never interpreted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tipstaff_trainer.judge.answers import (
    ends_thoughts,
    is_in,
    objects,
    unwrapped,
    verdicts,
    without_thoughts,
)
from tipstaff_trainer.judge.prompt import Form

LabelKind = Literal["logprobs", "samples", "verdict"]

# If Yes and No have less probability than this, the judge was choosing between other words.
_LEAST_MASS = 0.5
# If tokens that aren't shown may have more than this share of it, the ratio is unreliable.
_MOST_UNSEEN = 0.05
# A verdict may follow so many tokens: spaces, quotes, asterisks.
_FIRST_TOKENS = 4
_VERDICTS = {"yes": True, "no": False}
_FIRST_VERDICT = re.compile(
    r"[\s\"'*_#`]*(?:(?:verdict|answer)[\s\"'*_:]*)?(yes|no)\b[\s\"'*_.,:;!–—`-]*", re.IGNORECASE
)
# "Yes/No", "Yes or no": a choice that is named, not made.
_BOTH = re.compile(r"[\s\"'*_]*(?:[/|]|or\b)[\s\"'*_]*(?:yes|no)\b", re.IGNORECASE)
# A later line that is a verdict of its own.
_LATER = re.compile(
    r"^\W*(?:(?:so|final|my|the|therefore)\W+)*(?:(?:verdict|answer|judgement|judgment)\b(?:\W+is)?\W*)?"
    r"(yes|no)\W*$",
    re.IGNORECASE | re.MULTILINE,
)
# A verdict that is named among words.
_NAMED = re.compile(
    r"\b(?:verdict|answer|judgement|judgment)\b[\s\"'*_]*(?:is\b|:|=)[\s\"'*_]*(yes|no)\b(?!\W*(?:/|or\b))",
    re.IGNORECASE,
)
# A verdict that is a clause of its own, or that words of second thoughts lead to.
_SECOND = re.compile(
    r"(?:^|[.!?,;…—–\n])[\s*_]*(yes|no)[*_]*\s*(?=[.!?,;…—–\n]|$)"
    r"|\b(?:on (?:further |second )?(?:reflection|thoughts?|consideration)|actually|wait|correction"
    r"|reconsider\w*|scratch that|my mistake|instead|i (?:change|revise|correct)\b"
    r"|(?:final|overall) (?:answer|verdict)|verdict|judgement|judgment)\b"
    r"[^\n]{0,80}?\b(yes|no)\b[*_\"']*\s*(?=[.!?,;…—–\n]|$)",
    re.IGNORECASE,
)
_SPELLINGS = {"yes": True, "no": False, "true": True, "false": False}


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


def read_reply(reply: Reply, form: Form, question: str = "") -> Opinion | None:
    """Reads a verdict and its reason; None if the reply doesn't say one verdict.

    The verdict may follow the judge's thoughts; then the log-probabilities are not the verdict's.

    Args:
        reply: The reply.
        form: The form that was asked for.
        question: What was asked; an answer among other words that stands in it may be a quotation.
    """
    parse = _parse_json if form == "json" else _parse_verdict_first
    # Thoughts may begin without a mark, and with a verdict that is reconsidered in them.
    if not ends_thoughts(reply.text) or ends_thoughts(question):
        opinion = parse(reply)
        if opinion is not None:
            return opinion
    answer = without_thoughts(reply.text, question)
    if answer is None:
        return None
    rest = unwrapped(answer)
    tokens = reply.first_tokens if rest == reply.text.strip() else ()
    if (opinion := parse(replace(reply, text=rest, first_tokens=tokens))) is not None:
        return opinion
    # An endpoint that is held to JSON, or a judge that prefers it, may reply so in either form.
    return _parse_among_words(rest, question)


def combine(opinions: Sequence[Opinion]) -> Opinion:
    """Combines opinions about one row into one: the share of Yes.

    The reason is the first one on the majority's side.
    """
    if len(opinions) == 1:
        return opinions[0]
    share = math.fsum(opinion.label for opinion in opinions) / len(opinions)
    side = next(each for each in opinions if (each.label >= 0.5) == (share >= 0.5))
    return Opinion(share, "samples", side.reason)


def _parse_json(reply: Reply) -> Opinion | None:
    """A reply that is one JSON object and nothing else."""
    text = reply.text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    found = objects(text)
    if found is None or len(found) != 1 or found[0][1] != text:
        return None
    return _opinion(list(verdicts(found[0][0])))


def _parse_among_words(text: str, question: str) -> Opinion | None:
    """One JSON object with a verdict among other words.

    Two that contradict each other are not read, nor one that the words around it contradict, nor
    one that the question holds too: the judge may have quoted it.
    """
    found = objects(text)
    if found is None:
        return None
    answers = [(answer, written) for value, written in found for answer in verdicts(value)]
    if any(is_in(written, question) for _, written in answers):
        return None
    opinion = _opinion([answer for answer, _ in answers])
    if opinion is None:
        return None
    around = text
    for _, written in found:
        around = around.replace(written, "\n")
    said = {*_LATER.findall(around), *_NAMED.findall(around)}
    return opinion if all(_VERDICTS[each.lower()] == opinion.label for each in said) else None


def _opinion(answers: Sequence[Mapping[str, Any]]) -> Opinion | None:
    """The opinion of objects with a verdict; None unless all are verdicts and agree."""
    sides = {_side(answer["verdict"]) for answer in answers}
    if len(sides) != 1 or None in sides:
        return None
    reason = answers[-1].get("reason", "")
    return Opinion(
        float(bool(sides.pop())), "verdict", reason.strip() if isinstance(reason, str) else ""
    )


def _side(verdict: object) -> bool | None:
    if isinstance(verdict, bool):
        return verdict
    if not isinstance(verdict, str):
        return None
    return _SPELLINGS.get(verdict.strip().strip(".!*_").casefold())


def _parse_verdict_first(reply: Reply) -> Opinion | None:
    match = _FIRST_VERDICT.match(reply.text)
    if match is None or _BOTH.match(reply.text, match.end(1)):
        return None
    verdict = _VERDICTS[match[1].lower()]
    reason = reply.text[match.end() :].strip()
    later = (
        said
        for way in (_LATER, _SECOND)
        for match in way.finditer(reason)
        for said in match.groups()
    )
    # A judge that changes its mind, or a text that speaks for it.
    if any(_VERDICTS[said.lower()] != verdict for said in later if said):
        return None
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
