"""Which words of two texts are the same: a hint a small encoder can't work out for itself.

A token of the output is marked when its word occurs in the ground truth, and the other way round;
words that occur in nearly every text are never marked. Words are compared without case and accents.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+")
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


def words_of(text: str) -> Words:
    """The words of a text, folded, each with where it starts and ends."""
    return [(_fold(match.group()), match.start(), match.end()) for match in _WORD.finditer(text)]


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


def shared_words(one: Words, other: Words) -> frozenset[str]:
    """The folded words that both texts have, stop words aside."""
    return frozenset({word for word, _, _ in one} & {word for word, _, _ in other}) - STOP_WORDS


def mark(
    offsets: Sequence[tuple[int, int]], words: Words, shared: frozenset[str]
) -> npt.NDArray[np.int64]:
    """One for each token that overlaps a shared word, else zero.

    Args:
        offsets: Where each token starts and ends in the text, in order; shape (tokens,).
        words: The text's words, in order.
        shared: The folded words to mark.

    Returns:
        Shape (tokens,), values 0 and 1.
    """
    marks = np.zeros(len(offsets), dtype=np.int64)
    spans = iter([(start, end) for word, start, end in words if word in shared])
    start, end = next(spans, (0, 0))
    for index, (token_start, token_end) in enumerate(offsets):
        while end and end <= token_start:
            start, end = next(spans, (0, 0))
        if not end:
            break
        if start < token_end:
            marks[index] = 1
    return marks


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
