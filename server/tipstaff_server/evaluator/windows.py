"""Reads an interaction that is too long for one run in several runs.

Output and ground truth are cut into windows. Each run takes one window of each, and the whole
input. A window of the output is as well supported as by its best window of the ground truth, and an
output is only as good as its worst window: the score is the min over the output's windows of the
max over the ground truth's. SummaC (Laban et al. 2022, "SummaC: Re-visiting NLI-based models for
inconsistency detection in summarization") also takes the max over a document's parts, but the mean
over a summary's. A mean would let one wrong fact hide among right ones.

A window is about as long as the texts that the evaluator was trained on: it finds a sentence among
as many others as there were in training, and gets worse with more.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence, Set
from itertools import accumulate, chain
from operator import itemgetter, sub
from typing import NamedTuple

import numpy as np

Span = tuple[int, int]

# Matches after the end mark, not from it: otherwise a text of nothing but dots takes a time that
# grows with the square of its length.
_SENTENCE_END = re.compile(r"((?<=[.!?…])[\"'”’)\]]*\s+|[。！？]+|\n+)")


class Window(NamedTuple):
    """A range of a text's tokens; `end` is exclusive."""

    start: int
    end: int


def cut(text: str, offsets: Sequence[Span], size: int) -> list[Window]:
    """Cuts a text into the fewest windows that hold it, of similar length.

    Windows end where sentences end, and neighbouring windows share a sentence, so that each
    sentence is whole in some window, and together with each of its neighbours. Only a sentence
    longer than half a window is cut, between words, into pieces that then count as sentences.

    Args:
        text: The text.
        offsets: Where each token starts and ends in it, in order; shape (tokens,).
        size: Most tokens of a window, at least 4.

    Returns:
        The windows in order; together they cover the text. A text that fits has one window, which
        may be empty.
    """
    count = len(offsets)
    if count <= size:
        return [Window(0, count)]
    bounds = _sentences(text, offsets, size)
    fewest = len(_pack(bounds, size))
    # Two neighbouring sentences must fit into one window, or packing would get stuck.
    low = max(map(sub, bounds[2:], bounds))
    high = size
    while low < high:
        middle = (low + high) // 2
        if len(_pack(bounds, middle)) > fewest:
            low = middle + 1
        else:
            high = middle
    return _pack(bounds, high)


def rarities(texts: Sequence[Set[str]]) -> dict[str, float]:
    """How much a word counts when texts are compared: the more, the fewer of them have it.

    The inverse document frequency of BM25 (Robertson & Zaragoza 2009).

    Args:
        texts: The distinct words of each text.
    """
    frequencies = Counter(chain.from_iterable(texts))
    by_frequency = {
        frequency: math.log1p((len(texts) - frequency + 0.5) / (frequency + 0.5))
        for frequency in set(frequencies.values())
    }
    return {word: by_frequency[frequency] for word, frequency in frequencies.items()}


class Wordings:
    """Finds texts that are near in wording to a query, of which a part is always the same.

    A text's nearness is the share of the query's words that it has, the rarer the heavier, in
    [0, 1]. Words that no text has don't count.

    Args:
        texts: The distinct words of each text.
        query: The part of the query that is always the same, as distinct words.
    """

    def __init__(self, texts: Sequence[Set[str]], query: Set[str]) -> None:
        self._texts = texts
        self._weights = rarities(texts)
        # Once: the input may be as long as all windows together.
        self._query = query & self._weights.keys()
        self._total = self._sum(self._query)
        self._shared = [self._sum(words & self._query) for words in texts]

    def nearness(self, more: Set[str]) -> list[float]:
        """How near each text is; shape (texts,).

        Args:
            more: The rest of the query.
        """
        new, total = self._rest(more)
        return [
            (shared + self._sum(words & new)) / total
            for words, shared in zip(self._texts, self._shared, strict=True)
        ]

    def nearness_of(self, parts: Sequence[Set[str]], more: Set[str]) -> list[float]:
        """The same for parts of the texts, with the weights of the texts; shape (parts,)."""
        new, total = self._rest(more)
        return [
            (self._sum(words & self._query) + self._sum(words & new)) / total for words in parts
        ]

    def _rest(self, more: Set[str]) -> tuple[Set[str], float]:
        new = (more & self._weights.keys()) - self._query
        return new, self._total + self._sum(new) or 1.0

    def _sum(self, words: Set[str]) -> float:
        # fsum: the sum must not depend on the order of the words.
        return math.fsum(map(self._weights.__getitem__, words))


def nearest(nearness: Sequence[float], count: int) -> list[int]:
    """The places of the `count` nearest texts, in order; see `Wordings`."""
    # Stable: of equal ones, the first.
    ranked = sorted(range(len(nearness)), key=nearness.__getitem__, reverse=True)
    return sorted(ranked[:count])


def covered(chosen: Sequence[Window]) -> int:
    """The number of tokens in the union of some windows, which are in order."""
    ends = [0, *(window.end for window in chosen)]
    return sum(
        window.end - max(window.start, end) for window, end in zip(chosen, ends, strict=False)
    )


def deciding_run_index(
    logits: Sequence[float], parts: Sequence[int], handicaps: Sequence[float] = ()
) -> int:
    """The run whose logit decides: the best run of the output's worst window.

    Args:
        logits: One for each run, shape (runs,).
        parts: The index of each run's window of the output, shape (runs,).
        handicaps: What each run's logit counts less when the best is chosen, shape (runs,); empty
            for 0.
    """
    values = [a - b for a, b in zip(logits, handicaps, strict=True)] if handicaps else logits
    best: dict[int, int] = {}
    for run, part in enumerate(parts):
        if part not in best or values[run] > values[best[part]]:
            best[part] = run
    return min(best.values(), key=lambda run: logits[run])


def _sentences(text: str, offsets: Sequence[Span], size: int) -> list[int]:
    """Where sentences of at most half of `size` tokens start, and the end of the text."""
    ends = np.fromiter(map(itemgetter(1), offsets), dtype=np.int64, count=len(offsets))
    places = list(accumulate(map(len, _SENTENCE_END.split(text))))[1::2]
    starts = np.searchsorted(ends, np.array(places, dtype=np.int64), side="right")
    bounds = np.unique(np.concatenate([[0], starts, [len(offsets)]]))
    long = np.flatnonzero(np.diff(bounds) > size // 2)
    cuts = [
        _word_starts(text, offsets, start, end, max(1, size // 4))
        for start, end in zip(bounds[long].tolist(), bounds[long + 1].tolist(), strict=True)
    ]
    return sorted(chain(bounds.tolist(), *cuts))


def _word_starts(text: str, offsets: Sequence[Span], start: int, end: int, size: int) -> list[int]:
    """Where to cut a long sentence into pieces of at most `size` tokens."""
    cuts = []
    while end - start > size:
        # Even pieces. A word stays whole unless that would cost half of a piece.
        place = start + math.ceil((end - start) / math.ceil((end - start) / size))
        whole = place
        while whole > place - size // 2 and _is_inside_word(text, offsets[whole][0]):
            whole -= 1
        start = whole if whole > max(start, place - size // 2) else place
        cuts.append(start)
    return cuts


def _is_inside_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def _pack(bounds: Sequence[int], size: int) -> list[Window]:
    """Windows of as many sentences as fit; each starts with the last sentence of the one before."""
    windows, first, last = [], 0, len(bounds) - 1
    while True:
        beyond = bisect_right(bounds, bounds[first] + size) - 1
        windows.append(Window(bounds[first], bounds[beyond]))
        if beyond == last:
            return windows
        first = beyond - 1
