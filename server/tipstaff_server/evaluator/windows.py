"""How an interaction that is too long for one run is read in several.

Output and ground truth are cut into windows, and each run takes one of either, with the input in
every one. A window of the output is supported as far as its best window of the ground truth
supports it, and an output is as good as its worst window: the min over the output's windows of the
max over the ground truth's. SummaC (Laban et al. 2022, "SummaC: Re-visiting NLI-based models for
inconsistency detection in summarization") takes the max over a document's parts likewise; the mean
that it takes over the summary's would let one wrong fact hide among right ones.

A window is about as long as the texts that the evaluator was trained on: it finds a sentence among
as many others as it has learnt to, and no better the more there are.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

Span = tuple[int, int]

# From the end mark on, not before: a text of nothing but dots must not take a time that grows with
# the square of its length.
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|[。！？]+|\n+")


class Window(NamedTuple):
    """A stretch of a text's tokens, the end not included."""

    start: int
    end: int


def cut(text: str, offsets: Sequence[Span], size: int) -> list[Window]:
    """Cuts a text into as few windows as hold it, of like length.

    Windows end where sentences do, and neighbours share the sentence between them, so that each
    sentence stands whole in some window, and beside either neighbour. Only one of more than half a
    window is cut, at words, into pieces that count as sentences from there on.

    Args:
        text: The text.
        offsets: Where each token starts and ends in it, in order; shape (tokens,).
        size: Tokens of a window at most, at least 4.

    Returns:
        The windows in order; together they cover the text. One, which may be empty, if it fits.
    """
    count = len(offsets)
    if count <= size:
        return [Window(0, count)]
    bounds = _sentences(text, offsets, size)
    fewest = len(_pack(bounds, size))
    # Two neighbours must fit into one window, lest it get stuck.
    low = max(bounds[index + 2] - bounds[index] for index in range(len(bounds) - 2))
    high = size
    while low < high:
        middle = (low + high) // 2
        if len(_pack(bounds, middle)) > fewest:
            low = middle + 1
        else:
            high = middle
    return _pack(bounds, high)


def nearest(
    wanted: Collection[str], candidates: Sequence[Collection[str]], count: int
) -> list[int]:
    """Which texts are nearest in wording to another, in their order.

    Each word they share counts by how few of the texts have it: the inverse document frequency of
    BM25 (Robertson & Zaragoza 2009), with the candidates as the collection.

    Args:
        wanted: The other text's distinct words.
        candidates: The distinct words of each text.
        count: How many to choose, at most.
    """
    if len(candidates) <= count:
        return list(range(len(candidates)))
    having = Counter(word for words in candidates for word in words)
    worth = {
        word: math.log1p((len(candidates) - having[word] + 0.5) / (having[word] + 0.5))
        for word in wanted
        if word in having
    }
    # Summed with care: in another order of the words it must be the same.
    score = [math.fsum(worth[word] for word in words if word in worth) for words in candidates]
    ranked = sorted(range(len(candidates)), key=lambda index: (-score[index], index))
    return sorted(ranked[:count])


def covered(chosen: Sequence[Window]) -> int:
    """Tokens that lie in any of some windows, which are in order."""
    ends = [0, *(window.end for window in chosen)]
    return sum(
        window.end - max(window.start, end) for window, end in zip(chosen, ends, strict=False)
    )


def deciding_run_index(logits: Sequence[float], parts: Sequence[int]) -> int:
    """The run whose logit is the interaction's: the best run of the worst part of the output.

    Args:
        logits: Of the interaction's runs, shape (runs,).
        parts: Which window of the output each is of, shape (runs,).
    """
    best: dict[int, int] = {}
    for run, part in enumerate(parts):
        if part not in best or logits[run] > logits[best[part]]:
            best[part] = run
    return min(best.values(), key=lambda run: logits[run])


def _sentences(text: str, offsets: Sequence[Span], size: int) -> list[int]:
    """The tokens at which sentences start, and the end; none is longer than half of `size`."""
    ends = np.array([end for _, end in offsets])
    places = [match.end() for match in _SENTENCE_END.finditer(text)]
    starts = np.searchsorted(ends, places, side="right") if places else ()
    bounds = [0]
    for start, end in pairwise(sorted({0, *map(int, starts), len(offsets)})):
        if end - start > size // 2:
            bounds += _word_starts(text, offsets, start, end, max(1, size // 4))
        bounds.append(end)
    return bounds


def _word_starts(text: str, offsets: Sequence[Span], start: int, end: int, size: int) -> list[int]:
    """Where to cut a long sentence into pieces of at most `size` tokens."""
    cuts = []
    while end - start > size:
        # Even pieces; a word is kept whole unless most of a piece would be lost over it.
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
    """Windows of as many sentences as fit, each from the last sentence of the one before."""
    windows, first, last = [], 0, len(bounds) - 1
    while True:
        beyond = bisect_right(bounds, bounds[first] + size) - 1
        windows.append(Window(bounds[first], bounds[beyond]))
        if beyond == last:
            return windows
        first = beyond - 1
