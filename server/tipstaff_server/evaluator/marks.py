"""Which words of the texts are the same: a hint a small encoder can't work out for itself.

A token of the output is marked when its word occurs in the ground truth, and the other way round;
and, by kind `words`, when it occurs in the input, which tells an answer's own words from those that
repeat the question. Words that occur in nearly every text are never marked. They are compared
without case and accents; by kind `words` also without regard to how a small number is written, and
letters apart from digits, since "6ft" says 6 and a footnote makes "of27" of "of". By kind `forms`,
moreover, a word that another begins or ends with counts as shared: "tuber" with "tubers", and what
lost a blank ("byRicky", the year and the footnote in "20181").
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Marks = Literal["forms", "words", "overlap", "off"]
# How many different marks a token can have, none included.
KINDS: Final[Mapping[Marks, int]] = {"forms": 4, "words": 4, "overlap": 2, "off": 1}

# Letters or digits of a word that may be part of another: shorter ones begin or end too many.
_LEAST_PART = 4

_WORD = re.compile(r"\w+")
_LETTERS_OR_DIGITS = re.compile(r"[^\W\d_]+|\d+")
_SMALL_NUMBERS = (
    ("zero",),
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("four", "fourth"),
    ("five", "fifth"),
    ("six", "sixth"),
    ("seven", "seventh"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("ten", "tenth"),
    ("eleven", "eleventh"),
    ("twelve", "twelfth"),
    ("thirteen", "thirteenth"),
    ("fourteen", "fourteenth"),
    ("fifteen", "fifteenth"),
    ("sixteen", "sixteenth"),
    ("seventeen", "seventeenth"),
    ("eighteen", "eighteenth"),
    ("nineteen", "nineteenth"),
    ("twenty", "twentieth"),
)
_DIGITS = {word: str(number) for number, words in enumerate(_SMALL_NUMBERS) for word in words}
# Function words: they are shared by texts that have nothing to do with each other.
STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being but by can could
    did do does doing for from had has have having he her here hers him his how i if in into is it
    its just me more most my no nor not of on only or other our ours out over own s same she should
    so some such t than that the their theirs them then there these they this those through to too
    under until up very was we were what when where which while who whom why will with would you
    your yours""".split()
)

Words = list[tuple[str, int, int]]


def words_of(text: str, kind: Marks = "words") -> Words:
    """The words of a text, folded, each with where it starts and ends."""
    if kind in ("overlap", "off"):
        found = _WORD.finditer(text)
        return [(_fold(match.group()), match.start(), match.end()) for match in found]
    words = []
    for match in _LETTERS_OR_DIGITS.finditer(text):
        word = _fold(match.group())
        words.append((_DIGITS.get(word, word), match.start(), match.end()))
    return words


def words_within(words: Words, offsets: Sequence[tuple[int, int]]) -> Words:
    """The words that lie in what some tokens span, wholly or in part.

    Args:
        words: A text's words, in order.
        offsets: Where each of the tokens, which are neighbours, starts and ends in that text.
    """
    if not offsets:
        return []
    first = bisect_right(words, offsets[0][0], key=lambda word: word[2])
    last = bisect_left(words, offsets[-1][1], key=lambda word: word[1])
    return words[first:last]


def shared_words(one: Words, other: Words, kind: Marks = "words") -> frozenset[str]:
    """The folded words that both texts have, stop words aside; by kind `forms`, also parts."""
    ours, theirs = telling_words(one), telling_words(other)
    if kind != "forms":
        return ours & theirs
    return ours & theirs | _parts(ours, theirs) | _parts(theirs, ours)


def _parts(words: frozenset[str], parts: frozenset[str]) -> frozenset[str]:
    """The words that begin or end with one of some parts, and these parts."""
    return frozenset(
        found
        for word in words
        for length in range(_LEAST_PART, len(word))
        for part in (word[:length], word[-length:])
        if part in parts
        for found in (word, part)
    )


def telling_words(words: Words) -> frozenset[str]:
    """The folded words among them that are not in every other text."""
    return frozenset(word for word, _, _ in words) - STOP_WORDS


def marks_by_word(shared: frozenset[str], asked: frozenset[str]) -> dict[str, int]:
    """The mark of each word: 1 for what output and ground truth share, 2 for what is asked, or 3.

    Args:
        shared: Folded words that output and ground truth share.
        asked: Folded words of the input.
    """
    return {word: (word in shared) + 2 * (word in asked) for word in shared | asked}


def mark(
    offsets: Sequence[tuple[int, int]], words: Words, marks: Mapping[str, int]
) -> npt.NDArray[np.int64]:
    """Each token's mark: that of the first marked word it overlaps, or zero.

    Args:
        offsets: Where each token starts and ends in the text, in order; shape (tokens,).
        words: The text's words, in order.
        marks: By folded word.

    Returns:
        Shape (tokens,).
    """
    found = np.zeros(len(offsets), dtype=np.int64)
    spans = iter([(start, end, marks[word]) for word, start, end in words if word in marks])
    start, end, value = next(spans, (0, 0, 0))
    for index, (token_start, token_end) in enumerate(offsets):
        while end and end <= token_start:
            start, end, value = next(spans, (0, 0, 0))
        if not end:
            break
        if start < token_end:
            found[index] = value
    return found


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
