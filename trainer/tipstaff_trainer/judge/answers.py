"""Finds a judge's answer in its reply: without thoughts and wrapping, and its JSON wherever it is.

A row's text may imitate an answer, and a judge may quote it. So an answer that could be a
quotation is not read: thoughts that end twice, objects whose verdicts differ, an object among other
words that stands in the question as well.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

# Ends of thoughts: <think> and its kin, Mistral's, Kimi's, Cohere's, OpenThoughts', Gemma's, and
# the final channel of OpenAI's harmony.
_TAGS = "think|thinking|thought|thoughts|reasoning|reflection|analysis|seed:think"
_THOUGHT_ENDS = re.compile(
    rf"</(?:{_TAGS})>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|end_of_thought\|>|<unused95>"
    r"|<\|channel\|>\s*final\b[^<]*<\|message\|>",
    re.IGNORECASE,
)
_THOUGHT_STARTS = re.compile(
    rf"<(?:{_TAGS})>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|begin_of_thought\|>|<unused94>"
    r"|<\|channel\|>\s*(?:analysis|commentary)\b",
    re.IGNORECASE,
)
# What may stand around an answer.
_WRAPPERS = re.compile(
    r"</?(?:answer|response|output|solution|final_answer|seed:answer)>"
    r"|<\|(?:begin_of_box|end_of_box|START_RESPONSE|END_RESPONSE|begin_of_solution"
    r"|end_of_solution|return|end|start|im_end|eot_id|channel|message)\|>|<end_of_turn>|</s>",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^```[a-z]*\s*\n?(.*?)\s*```$", re.DOTALL | re.IGNORECASE)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
# Double, single and typographic ones, escaped or not.
_QUOTES = re.compile(r"""\\*["'`“”„‘’]""")
_LONGEST_REPAIRED = 20_000


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; None for a name that is there twice with different values."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        values[name] = value if values.get(name, value) == value else None
    return values


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_without_doubles)


def ends_thoughts(text: str) -> bool:
    """Whether a mark in a text ends thoughts."""
    return _THOUGHT_ENDS.search(text) is not None


def without_thoughts(text: str, question: str) -> str | None:
    """The part of a reply that follows its thoughts; the whole where it has none.

    Returns:
        None where the end of the thoughts can't be told: there are two ends, or only a beginning,
        or the question has such an end itself.
    """
    ends = list(_THOUGHT_ENDS.finditer(text))
    if len(ends) > 1 or (ends and _THOUGHT_ENDS.search(question)):
        return None
    if ends:
        return text[ends[0].end() :]
    return None if _THOUGHT_STARTS.search(text) else text


def has_only_thoughts(text: str) -> bool:
    """Whether a reply's thoughts end, and nothing follows them."""
    ends = list(_THOUGHT_ENDS.finditer(text))
    return bool(ends) and not text[ends[-1].end() :].strip()


def unwrapped(text: str) -> str:
    """An answer without marks at its ends: a fence, a box, the tokens that end a turn."""
    before = None
    while before != text:
        before, text = text, text.strip()
        for match in _WRAPPERS.finditer(text):
            if match.start() == 0:
                text = text[match.end() :]
                break
            if match.end() == len(text):
                text = text[: match.start()]
                break
        if fence := _FENCE.match(text.strip()):
            text = fence[1]
    return text


def objects(text: str) -> list[tuple[dict[str, Any], str]] | None:
    """All JSON objects of a text that stand in no other, each with how it is written.

    Line breaks within strings, a comma before the end and Python's quotes are read too.

    Returns:
        None where something that begins like an object can't be read, so that no other object may
        be taken for the answer.
    """
    found: list[tuple[dict[str, Any], str]] = []
    position = 0
    while (start := text.find("{", position)) >= 0:
        value, end = _object_at(text, start)
        if value is None:
            if _mentions_a_verdict(text[start:end]):
                return None
        else:
            found.append((value, text[start:end]))
        # Nothing within one that can't be read has a verdict either: each sign is looked at once.
        position = end
    return found


def verdicts(value: object) -> Iterator[dict[str, Any]]:
    """The objects with a verdict in a value, by keys in lower case."""
    if isinstance(value, dict):
        folded = _without_doubles([(str(k).strip().casefold(), part) for k, part in value.items()])
        if "verdict" in folded:
            yield folded
            return
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from verdicts(part)


def is_in(written: str, question: str) -> bool:
    """Whether an object stands in the question too, by its words and signs.

    A judge that quotes may write other quotes, or other case.
    """
    return _compared(written) in _compared(question)


def _compared(text: str) -> str:
    return _QUOTES.sub("'", "".join(text.split())).casefold()


def _object_at(text: str, start: int) -> tuple[dict[str, Any] | None, int]:
    """The object that begins at a brace, and where it ends; None if it can't be read."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        end = _closing(text, start)
        value = _repaired(text[start:end])
    return (value, end) if isinstance(value, dict) else (None, end)


def _repaired(written: str) -> object:
    if len(written) > _LONGEST_REPAIRED:
        return None
    try:
        return _DECODER.decode(_TRAILING_COMMA.sub(r"\1", written))
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(written)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _closing(text: str, start: int) -> int:
    """Where the braces that begin at a position are closed, quoted ones aside; else the end."""
    depth, quote, position = 0, "", start
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character == '"' or (character == "'" and text[position - 1] in "{[,: "):
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    return len(text)


def _mentions_a_verdict(text: str) -> bool:
    return "verdict" in text.casefold()
