"""Reads from a text what a few signs change and everything hangs on: numbers, names, negations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tipstaff_server.evaluator.support.units import NUMBER_WORDS, UNITS, YEARS
from tipstaff_server.evaluator.windows import Span

_NUMBER: Final = re.compile(
    r"(?P<sign>[£€$¥])?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\w.])\.\d+)"
    r"(?:(?P<decade>['’]?s\b)|(?P<ordinal>st|nd|rd|th)\b)?"
    r"|\b(?P<word>" + "|".join(sorted(NUMBER_WORDS, key=len, reverse=True)) + r")\b",
    re.IGNORECASE,
)
_WORD_AFTER: Final = re.compile(r"[\s-]{0,2}(%|‰|¢|°[CF]|[£€$¥]|[^\W\d_]{1,20})(?!\w)")
# A large unit after a number in figures belongs to it: "2 million" is one number.
_ROUGHLY: Final = re.compile(
    r"\b(?:about|above|almost|approximately|around|at least|below|circa|close to|less than|"
    r"more than|nearly|over|roughly|some|under|up to)\s+[£€$¥]?\Z",
    re.IGNORECASE,
)
_ROUGH: Final = 0.05
_NEGATION: Final = re.compile(
    r"\b(?:not(?!\s+(?:only|just|merely|necessarily)\b)|never|no|none|nobody|nothing|nowhere|neither"
    r"|nor|without|cannot|fail(?:s|ed)? to)\b"
    r"|n['’]t\b|\b(?:nicht|kein\w*|nie|pas|jamais|aucune?|nunca|ningun\w*)\b",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"\"[^\"\n]{0,200}\"|“[^”\n]{0,200}”")
_NAME: Final = re.compile(r"\b(?:[A-Z]\.)+|\b[A-Z][^\W\d_]*(?:['’-][^\W\d_]+)*")
# Capitalised words that are no names.
_NO_NAMES: Final = frozenset(
    """a about after all although an and another any are as at be because before both but by can
    could despite did do does during each every few for from had has have he her here his how i if
    in into is it its like many may mr mrs ms more most my no nobody none not now of on once one
    only or other our over she since so some such than that the their then there these they this
    those though through to two under until up upon was we were what when where which while who why
    will with within would yes you your yeah well actually however also three four five six dr
    prof sir""".split()
)
_SENTENCE_START: Final = re.compile(r"(?:^|[.!?:]\s+|\n\s*)[\"“'‘(\[]?$")


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text.

    Attributes:
        span: Where it starts and ends.
        value: Its value.
        is_decade: Whether it stands for ten years, as in "the 1960s".
        is_ordinal: Whether it counts places, as in "17th".
        is_rough: Whether it is said to be not exact, as in "over 9,000".
        after: The word that follows it, without case; empty without one.
        after_span: Where that word starts and ends.
    """

    span: Span
    value: float
    is_decade: bool = False
    is_ordinal: bool = False
    is_rough: bool = False
    after: str = ""
    after_span: Span = (0, 0)

    @property
    def units(self) -> dict[int, str]:
        """The unit beside it: the name by the kind of unit; empty without one."""
        return UNITS.get(self.after, {})

    def agrees(self, other: Number) -> bool:
        """Whether both may be the same number, each as written: "1963" is in "the 1960s"."""
        if self.value == other.value:
            return True
        for one, two in ((self, other), (other, self)):
            if one.is_decade and one.value <= two.value < one.value + 10:
                return True
            if one.is_ordinal and one.after in ("century", "centuries"):
                return 100 * (one.value - 1) <= two.value <= 100 * one.value
            if one.is_rough and abs(one.value - two.value) <= _ROUGH * abs(one.value):
                return True
        # "Two decades" are "20 years".
        ours, theirs = YEARS.get(self.after), YEARS.get(other.after)
        return bool(ours and theirs) and self.value * ours == other.value * theirs  # type: ignore[operator]


def numbers_of(text: str) -> list[Number]:
    """The numbers of a text, in figures or in words."""
    numbers: list[Number] = []
    for match in _NUMBER.finditer(text):
        after = _WORD_AFTER.match(text, match.end())
        word, word_span = (after[1].lower(), after.span(1)) if after else ("", (0, 0))
        is_decade = is_ordinal = False
        if match["word"]:
            value, is_ordinal = NUMBER_WORDS[match["word"].lower()]
        else:
            value = float(match["digits"].replace(",", ""))
            is_ordinal = bool(match["ordinal"])
            is_decade = bool(match["decade"]) and value >= 1000 and value % 10 == 0
        if match["sign"] and not UNITS.get(word):
            word, word_span = match["sign"], match.span("sign")
        rough = _ROUGHLY.search(text, max(0, match.start() - 16), match.start())
        numbers.append(
            Number(match.span(), value, is_decade, is_ordinal, bool(rough), word, word_span)
        )
    return numbers


@dataclass(frozen=True, slots=True)
class Name:
    """A capitalised word that doesn't only begin a sentence; `key` is without case."""

    span: Span
    key: str


def names_of(text: str, *, starts_too: bool = False) -> Iterator[Name]:
    """The names of a text, word by word.

    Args:
        text: A sentence, or several.
        starts_too: Whether a word that begins a sentence counts too.
    """
    for match in _NAME.finditer(text):
        key = match[0].rstrip(".").casefold()
        for ending in ("'s", "’s"):
            key = key.removesuffix(ending)
        if key in _NO_NAMES or len(key) < 2:
            continue
        before = text[max(0, match.start() - 4) : match.start()]
        if starts_too or not _SENTENCE_START.search(before):
            yield Name(match.span(), key)


def negations_of(text: str) -> list[Span]:
    """Where each negation of a text starts and ends, but for those in quotes, as in titles."""
    plain = _QUOTED.sub(lambda match: "_" * len(match[0]), text)
    return [match.span() for match in _NEGATION.finditer(plain)]
