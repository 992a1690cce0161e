"""Marks the words that the texts share: a hint that a small encoder can't work out for itself.

A token of the output is marked if its word occurs in the ground truth, and the other way round.
With the kind `words` it is also marked if its word occurs in the input, which tells an answer's own
words from those that repeat the question. Stop words, which occur in nearly every text, are never
marked.

Words are compared without case and accents. The kind `words` also ignores how a small number is
written, and compares letters apart from digits, since "6ft" says 6 and a footnote turns "of" into
"of27". With the kind `forms`, a word is also shared if another begins or ends with it: "tuber" with
"tubers", or words that lost a blank ("byRicky", the year and the footnote in "20181").
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, filterfalse
from operator import itemgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from tipstaff_server.evaluator.manifest import Marks

# The number of different marks that a token can have, 0 included.
KINDS: Final[Mapping[Marks, int]] = {"forms": 4, "words": 4, "overlap": 2, "off": 1}

# Least length of a word that counts as part of another: too many words begin or end with shorter
# ones.
_LEAST_PART = 4

_WORD = re.compile(r"(\w+)")
_LETTERS_OR_DIGITS = re.compile(r"([^\W\d_]+|\d+)")
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
# Function words: unrelated texts share them.
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
    """The folded words of a text, each with its start and end."""
    numbered = kind not in ("overlap", "off")
    pattern = _LETTERS_OR_DIGITS if numbered else _WORD
    # A text may have 100,000 words: everything here loops in C.
    words: Iterable[str]
    if text.isascii():
        pieces = pattern.split(text.lower())
        words = pieces[1::2]
    else:
        pieces = pattern.split(text)
        words = _fold(pieces[1::2])
    if numbered:
        words = map(_DIGITS.get, words, words)
    bounds = accumulate(map(len, pieces))
    return list(zip(words, bounds, bounds, strict=False))


def words_within(words: Words, offsets: Sequence[tuple[int, int]]) -> Words:
    """The words that some neighbouring tokens span, wholly or in part.

    Args:
        words: A text's words, in order.
        offsets: Where each of the tokens starts and ends in that text.
    """
    if not offsets:
        return []
    first = bisect_right(words, offsets[0][0], key=itemgetter(2))
    last = bisect_left(words, offsets[-1][1], key=itemgetter(1))
    return words[first:last]


def shared_words(one: Words, other: Words, kind: Marks = "words") -> frozenset[str]:
    """The folded words that both texts have, without stop words; with kind `forms`, also parts."""
    return shared(content_words(one), content_words(other), kind)


def shared(ours: frozenset[str], theirs: frozenset[str], kind: Marks = "words") -> frozenset[str]:
    """`shared_words` of two texts by their `content_words`."""
    both = ours & theirs
    return both.union(_parts(ours, theirs)) if kind == "forms" else both


def _parts(ours: frozenset[str], theirs: frozenset[str]) -> Iterator[str]:
    """The words of either text that begin or end with a word of the other, and those words.

    Sorts and passes over the words, so that the time is n log n in their letters, for any words.
    """
    long = [word for word in ours | theirs if len(word) >= _LEAST_PART]
    for step in (1, -1):  # the ends of words are the beginnings of reversed words
        words = sorted([word[::step] for word in long])
        # The words that begin with a word come right after it.
        if any(map(str.startswith, words[1:], words)):
            sides = [{word[::step] for word in side} for side in (ours, theirs)]
            for longer, shorter in (sides, reversed(sides)):
                yield from (word[::step] for word in _beginnings(words, longer, shorter))


def _beginnings(words: list[str], longer: set[str], shorter: set[str]) -> Iterator[str]:
    """The words of one set that begin with a word of another, and those that they begin with.

    Args:
        words: Words of both sets, in order.
        longer: The one set.
        shorter: The other.
    """
    beginning = None
    for word in words:
        # What begins with a longer beginning also begins with the shortest.
        if beginning is not None and word.startswith(beginning):
            if word in longer:
                yield word
        elif word in shorter:
            beginning = word
    following = ""
    for word in reversed(words):
        if word in shorter and following.startswith(word):
            yield word
        if word in longer:
            following = word


def content_words(words: Words) -> frozenset[str]:
    """The folded words, without stop words."""
    return frozenset(map(itemgetter(0), words)) - STOP_WORDS


def marks_by_word(shared: frozenset[str], in_input: frozenset[str]) -> dict[str, int]:
    """The mark of each word: 1 if output and ground truth share it, 2 if the input has it, or 3.

    Args:
        shared: Folded words that output and ground truth share.
        in_input: Folded words of the input.
    """
    return {word: (word in shared) + 2 * (word in in_input) for word in shared | in_input}


def mark(
    offsets: Sequence[tuple[int, int]], words: Words, marks: Mapping[str, int]
) -> npt.NDArray[np.int64]:
    """The mark of each token: that of the first marked word it overlaps, or zero.

    Args:
        offsets: Where each token starts and ends in the text, in order; shape (tokens,).
        words: The text's words, in order.
        marks: The marks of folded words.

    Returns:
        Shape (tokens,).
    """
    token_marks = np.zeros(len(offsets), dtype=np.int64)
    # Not a list: a text may have far more words than the tokens span.
    spans = ((start, end, marks[word]) for word, start, end in words if word in marks)
    start, end, value = next(spans, (0, 0, 0))
    for index, (token_start, token_end) in enumerate(offsets):
        while end and end <= token_start:
            start, end, value = next(spans, (0, 0, 0))
        if not end:
            break
        if start < token_end:
            token_marks[index] = value
    return token_marks


class _FoldedLetters(dict[int, int | str]):
    """Letters without case and accents, by code point; filled as letters come up."""

    def __missing__(self, code: int) -> int | str:
        letter = chr(code)
        decomposed = unicodedata.normalize("NFKD", letter.casefold())
        folded = "".join(filterfalse(unicodedata.combining, decomposed))
        # The code point itself takes no room of its own.
        self[code] = code if folded == letter else folded
        return self[code]


_FOLDED = _FoldedLetters()
# The basic plane of Unicode, which has the letters of nearly all texts.
_PLANE = 0x10000


@cache
def warm_up() -> None:
    """Folds the letters of most scripts, so that no text has to wait for that."""
    "".join(filter(str.isalnum, map(chr, range(_PLANE)))).translate(_FOLDED)


def _fold(words: Sequence[str]) -> list[str]:
    """Words without case and accents."""
    # Letter by letter: normalising a text may take a time that grows with its length's square.
    # No letter or digit folds to a line break.
    return "\n".join(words).translate(_FOLDED).split("\n") if words else []
