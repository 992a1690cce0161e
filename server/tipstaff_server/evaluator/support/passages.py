"""Finds the passage of a ground truth that supports a sentence best, by their words.

Each passage (a sentence or a line) gets the weight of the sentence's words that it has. Rare words
weigh more: the weight is the inverse document frequency within the ground truth itself, where a
word that every passage has tells none from another. To that comes a part of the weight of

- pairs of neighbouring words that both have: words that belong together,
- the sentence's words that only the passage's neighbours have: evidence stretches over sentences,
  and "he" in one stands for a name in the one before.

Words are compared by their stems. `benchmarks/evidence.py` measures this with passages that people
marked.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from itertools import pairwise
from typing import Final

from tipstaff_server.evaluator.layout import Checkpoint, go_on
from tipstaff_server.evaluator.marks import STOP_WORDS, words_of
from tipstaff_server.evaluator.windows import Span

# What a pair of words, and a word of a neighbouring passage, count.
_PAIR_WEIGHT: Final = 0.3
_NEIGHBOUR_WEIGHT: Final = 0.3
# Passages between two checkpoints.
_STEP: Final = 500

# English endings, the longest first; words of other languages lose them alike on both sides.
_ENDINGS: Final = (
    *("ations", "ation", "ingly", "edly", "ings", "ing", "ions", "ion", "ers", "er", "ies", "ied"),
    *("ed", "es", "ly", "al", "s", "y", "e"),
)
_SHORTEST_STEM: Final = 3
_LONGEST_WORD: Final = 64
# Kana and Han have no blanks between words: each sign counts as a word.
_UNBLANKED: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def stems_of(text: str) -> list[str]:
    """The stems of a text's words, in order, without stop words."""
    stems: list[str] = []
    for word, _, _ in words_of(text):
        if _UNBLANKED.search(word):
            stems.extend(word)
        elif word not in STOP_WORDS:
            stems.append(stem(word))
    return stems


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A folded word without its ending: "governed", "governs" and "governing" are one."""
    if len(word) <= _SHORTEST_STEM or word.isdigit():
        return word
    word = word[:_LONGEST_WORD]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > _SHORTEST_STEM and word[-1] == word[-2] else word


@dataclass(frozen=True, slots=True)
class Match:
    """A passage that has words of a sentence.

    Attributes:
        index: The passage's place among the passages.
        value: What is compared: larger is better.
    """

    index: int
    value: float


class Passages:
    """A ground truth's passages, ready to be searched.

    Building takes a time linear in the text, and a search one linear in the passages that share a
    word with the sentence.

    Args:
        text: The ground truth.
        spans: Where each passage starts and ends.
        checkpoint: Called between steps; may raise, to stop here.
    """

    def __init__(self, text: str, spans: Sequence[Span], checkpoint: Checkpoint = go_on) -> None:
        self.text = text
        self.spans = spans
        self._places: dict[str, list[int]] = defaultdict(list)
        self._pairs: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, (start, end) in enumerate(spans):
            stems = stems_of(text[start:end])
            for word in dict.fromkeys(stems):
                self._places[word].append(index)
            for pair in dict.fromkeys(pairwise(stems)):
                self._pairs[pair].append(index)
            if index % _STEP == 0:
                checkpoint()

    @property
    def stems(self) -> Collection[str]:
        """The stems that any passage has."""
        return self._places.keys()

    def weight(self, word: str) -> float:
        """A stem's inverse document frequency; the largest for one that no passage has."""
        return math.log((len(self.spans) + 1) / (len(self._places.get(word, ())) + 0.5))

    def share(self, stems: Iterable[str], indexes: Iterable[int]) -> float:
        """The share of a sentence's weight that some passages have together, in [0, 1]."""
        words = Counter(stems)
        near = set(indexes)
        total = math.fsum(count * self.weight(word) for word, count in words.items())
        found = math.fsum(
            count * self.weight(word)
            for word, count in words.items()
            if not near.isdisjoint(self._places.get(word, ()))
        )
        return found / total if total else 0.0

    def best(self, stems: Sequence[str], most: int) -> list[Match]:
        """The passages that support a sentence best, at most `most`, the best first.

        Passages without a word of the sentence are none of them.
        """
        own: dict[int, float] = defaultdict(float)
        near: dict[int, float] = defaultdict(float)
        last = len(self.spans) - 1
        # In the sentence's order, so that sums are the same bits each time.
        for word in dict.fromkeys(stems):
            weight, places = self.weight(word), self._places.get(word, ())
            neighbours: set[int] = set()
            for index in places:
                own[index] += weight
                neighbours.update((max(0, index - 1), min(last, index + 1)))
            for index in neighbours.difference(places):
                near[index] += _NEIGHBOUR_WEIGHT * weight
        for pair in dict.fromkeys(pairwise(stems)):
            for index in self._pairs.get(pair, ()):
                own[index] += _PAIR_WEIGHT * (self.weight(pair[0]) + self.weight(pair[1]))
        matches = (Match(index, value + near.get(index, 0.0)) for index, value in own.items())
        return nsmallest(most, matches, key=lambda match: (-match.value, match.index))
