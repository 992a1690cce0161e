"""Finds what in a sentence differs from the passage that should support it.

    "within 900 days"  against  "within 30 days"         number
    "30 months"        against  "30 days"                unit
    "by Charles Lee"   against  "by Harper Lee"          name
    "is not covered"   against  "is covered"             negation

Each difference has a strength: how sure it is to be a contradiction rather than a paraphrase. It is
surer where the rest of the sentence is in the passage too, and where something else stands in the
same place, beside the same word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Final

from tipstaff.types import Contradiction, ContradictionKind
from tipstaff_server.evaluator.marks import STOP_WORDS, words_of
from tipstaff_server.evaluator.support.facts import Name, Number, names_of, negations_of, numbers_of
from tipstaff_server.evaluator.support.passages import stem, stems_of
from tipstaff_server.evaluator.windows import Span

# Strengths before the share of the sentence that agrees is taken into account: another piece stands
# in the same place, elsewhere in the passage, or nowhere near.
_SAME_PLACE: Final = 0.95
_ELSEWHERE: Final = 0.75
_NOWHERE: Final = 0.6
# Where the ground truth has a missing name somewhere else.
_KNOWN_NAME: Final = 0.4
# Weaker differences are noise.
_WEAKEST: Final = 0.1
# Most differences of one sentence.
_MOST: Final = 8
# Smaller numbers often occur by chance.
_LARGE: Final = 100
# Characters and facts of a text that are compared: more are no sentence, and each is compared with
# each.
_LONGEST: Final = 2000
_MOST_FACTS: Final = 60
# Words around a negation that tell what it denies.
_DENIED: Final = 4

_WORD: Final = re.compile(r"\w+")
_OPPOSITES: Final = ("un", "dis", "non")
_SHORTEST_OPPOSED: Final = 3

_Found = tuple[ContradictionKind, Span, Span | None, float]


def contradictions_of(
    sentence: str,
    passage: str,
    others: Sequence[str] = (),
    *,
    agreement: float = 1.0,
    known: Collection[str] = (),
    start: int = 0,
    at: int = 0,
) -> list[Contradiction]:
    """The differences between a sentence and its passage, in order of the sentence.

    Args:
        sentence: A sentence of the output.
        passage: The passage of the ground truth that supports it best.
        others: More text of the ground truth that may support the sentence: what is there is no
            difference.
        agreement: Share of the sentence's common words (neither numbers nor names) that the passage
            has, in [0, 1].
        known: Stems that the ground truth has anywhere.
        start: Where the sentence starts in the output.
        at: Where the passage starts in the ground truth.

    Returns:
        At most eight.
    """
    sentence, passage = sentence[:_LONGEST], passage[:_LONGEST]
    near = "\n".join((passage, *(other[:_LONGEST] for other in others)))
    found = [
        *_numbers(sentence, passage, near, agreement),
        *_names(sentence, passage, near, agreement, known),
        *_negations(sentence, passage, near, agreement),
    ]
    found = [each for each in found if each[3] >= _WEAKEST]
    found = sorted(found, key=lambda each: -each[3])[:_MOST]
    return [
        Contradiction(
            kind,
            start + span[0],
            start + span[1],
            None if truth is None else at + truth[0],
            None if truth is None else at + truth[1],
            strength,
        )
        for kind, span, truth, strength in sorted(found, key=lambda each: each[1])
    ]


def _numbers(sentence: str, passage: str, near: str, agreement: float) -> list[_Found]:
    ours = numbers_of(sentence)[:_MOST_FACTS]
    if not ours:
        return []
    theirs, nearby = numbers_of(passage)[:_MOST_FACTS], numbers_of(near)[: 4 * _MOST_FACTS]
    found: list[_Found] = []
    for number in ours:
        same = [
            each
            for each in nearby
            if number.agrees(each) and (each.span[1] <= len(passage) or _is_telling(number, each))
        ]
        if same:
            if (unit := _other_unit(number, same)) is not None:
                truth = unit.after_span if unit.span[1] <= len(passage) else None
                found.append((ContradictionKind.UNIT, number.after_span, truth, _SAME_PLACE))
            continue
        free = [each for each in theirs if not any(own.agrees(each) for own in ours)]
        place = max(
            free, key=lambda each: _same_place(sentence, number, passage, each), default=None
        )
        if place is None:
            found.append((ContradictionKind.NUMBER, number.span, None, _NOWHERE * agreement))
        else:
            alike = _same_place(sentence, number, passage, place) >= 1
            strength = _strength(alike, agreement)
            found.append((ContradictionKind.NUMBER, number.span, place.span, strength))
    return found


def _is_telling(number: Number, other: Number) -> bool:
    """Whether a number elsewhere is the same by more than chance: large, or of the same thing."""
    return number.value >= _LARGE or stem(number.after) == stem(other.after) != ""


def _strength(alike: bool, agreement: float) -> float:
    return _SAME_PLACE * (0.8 + 0.2 * agreement) if alike else _ELSEWHERE * agreement


def _same_place(sentence: str, ours: Number, passage: str, theirs: Number) -> float:
    """How alike the places of two numbers are: 1 or more with the same word before or after."""
    after = bool(ours.after) and stem(ours.after) == stem(theirs.after)
    kinds = bool(ours.units.keys() & theirs.units.keys())
    before = _before(sentence, ours.span) == _before(passage, theirs.span) != ""
    nearness = 1 - abs(ours.value - theirs.value) / (abs(ours.value) + abs(theirs.value) + 1)
    return 2 * after + before + kinds + 0.5 * nearness


def _before(text: str, span: Span) -> str:
    """The stem of the word before a piece; empty for a stop word, which tells nothing."""
    words = _WORD.findall(text[max(0, span[0] - 24) : span[0]])
    return _telling(words[-1]) if words else ""


def _after(text: str, span: Span) -> str:
    """The stem of the word after a piece; empty for a stop word."""
    words = _WORD.findall(text[span[1] : span[1] + 24])
    return _telling(words[0]) if words else ""


def _telling(word: str) -> str:
    return "" if word.lower() in STOP_WORDS else stem(word.lower())


def _other_unit(number: Number, same: Sequence[Number]) -> Number | None:
    """The number with another unit of the same kind, if none has the same unit."""
    units = number.units
    rivals: list[Number] = []
    for each in same:
        common = each.units.keys() & units.keys()
        if any(each.units[kind] == units[kind] for kind in common):
            return None
        if common and each.value == number.value:
            rivals.append(each)
    return rivals[0] if rivals else None


def _names(
    sentence: str, passage: str, near: str, agreement: float, known: Collection[str]
) -> list[_Found]:
    missing = _missing_names(sentence, near)[:_MOST_FACTS]
    if not missing:
        return []
    own = {stem(each.key) for each in names_of(sentence, starts_too=True)}
    names = islice(names_of(passage, starts_too=True), _MOST_FACTS)
    free = [each for each in names if stem(each.key) not in own]
    found: list[_Found] = []
    for first, last, keys in missing:
        span = (first, last)
        before, after = _before(sentence, span), _after(sentence, span)
        alike = [
            each
            for each in free
            if _before(passage, each.span) == before != ""
            or _after(passage, each.span) == after != ""
        ]
        if alike:
            strength = _SAME_PLACE * agreement
            found.append((ContradictionKind.NAME, span, alike[0].span, strength))
        elif all(stem(key) in known for key in keys):
            found.append((ContradictionKind.NAME, span, None, _KNOWN_NAME * agreement))
        elif free:
            found.append((ContradictionKind.NAME, span, free[0].span, _ELSEWHERE * agreement))
        else:
            found.append((ContradictionKind.NAME, span, None, _NOWHERE * agreement))
    return found


def _missing_names(sentence: str, near: str) -> list[tuple[int, int, list[str]]]:
    """The names that a text lacks: where each starts and ends, and its words."""
    words = {word for word, _, _ in words_of(near)}
    stems = {stem(word) for word in words}
    missing: list[tuple[int, int, list[str]]] = []
    last: Name | None = None
    for name in names_of(sentence):
        parts = [part for part, _, _ in words_of(name.key) if len(part) > 1]
        if all(part in words or stem(part) in stems for part in parts):
            continue
        if last is not None and sentence[last.span[1] : name.span[0]] in (" ", "-"):
            first, _, keys = missing.pop()
            missing.append((first, name.span[1], [*keys, name.key]))
        else:
            missing.append((*name.span, [name.key]))
        last = name
    return missing


def _negations(sentence: str, passage: str, near: str, agreement: float) -> list[_Found]:
    ours, theirs = negations_of(sentence), negations_of(passage)
    opposite = _opposite(sentence, passage)
    if ours and not theirs:
        # "Not happy" is "unhappy".
        if opposite is not None:
            return []
        share = _denied(sentence, ours[0], passage)
        strength = _SAME_PLACE * share * max(agreement, 0.5)
        return [(ContradictionKind.NEGATION, ours[0], None, strength)]
    if theirs and not ours:
        if opposite is not None:
            return []
        share = _denied(passage, theirs[0], sentence)
        whole = (0, len(sentence))
        return [(ContradictionKind.NEGATION, whole, theirs[0], _SAME_PLACE * share * agreement)]
    if opposite is not None and not ours:
        return [(ContradictionKind.NEGATION, *opposite, _SAME_PLACE * max(agreement, 0.5))]
    return []


def _denied(text: str, negation: Span, other: str) -> float:
    """The share of the words after a negation that another text has."""
    denied = stems_of(text[negation[1] : negation[1] + 80])[:_DENIED]
    theirs = set(stems_of(other))
    return sum(word in theirs for word in denied) / len(denied) if denied else 0.0


def _opposite(sentence: str, passage: str) -> tuple[Span, Span] | None:
    """A word that one text has and the other denies by a prefix, as "likes" and "dislikes"."""
    ours, theirs = (
        {stem(match[0].lower()): match.span() for match in _WORD.finditer(text)}
        for text in (sentence, passage)
    )
    for one, two, swapped in ((ours, theirs, False), (theirs, ours, True)):
        for word, span in one.items():
            if word in two or len(word) < _SHORTEST_OPPOSED:
                continue
            for prefix in _OPPOSITES:
                if prefix + word in two and prefix + word not in one:
                    other = two[prefix + word]
                    return (other, span) if swapped else (span, other)
    return None
