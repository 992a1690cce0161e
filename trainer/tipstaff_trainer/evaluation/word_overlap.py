"""Word overlap: which share of a text's words occur in another, rare words counting more.

Common words have a low weight, so none are left out. Words are compared whole, without case and
accents.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tipstaff_server.evaluator.marks import words_of
from tipstaff_trainer.data import Row

OVERLAP = "word overlap"
REVERSE = "word overlap, reverse"

References = Callable[[Row], Sequence[str]]


@dataclass(frozen=True, slots=True)
class WordOverlap:
    """The weights of words, from the texts that they occur in.

    Inverse document frequency (Spärck Jones 1972, "A statistical interpretation of term specificity
    and its application in retrieval"), smoothed so that each weight is positive:
    log((n + 1) / (df + 0.5)) for a word that occurs in df of n texts.

    Attributes:
        weights: By folded word.
        unseen: The weight of any other word.
    """

    weights: Mapping[str, float]
    unseen: float

    @classmethod
    def of(cls, texts: Iterable[str]) -> WordOverlap:
        """Counts the texts that each word occurs in."""
        count, frequencies = 0, Counter[str]()
        for text in texts:
            count += 1
            frequencies.update(set(_words(text)))
        weights = {
            word: math.log((count + 1) / (frequency + 0.5))
            for word, frequency in frequencies.items()
        }
        return cls(weights, math.log((count + 1) / 0.5))

    def share(self, text: str, other: str) -> float:
        """The weighted share, in [0, 1], of a text's words that another has; 0 without words."""
        words, known = _words(text), set(_words(other))
        weights = [self.weights.get(word, self.unseen) for word in words]
        total = sum(weights)
        both = sum(weight for word, weight in zip(words, weights, strict=True) if word in known)
        return both / total if total else 0.0


def word_overlaps(rows: Sequence[Row], references: References) -> dict[str, Callable[[Row], float]]:
    """The metrics by name, in [0, 1]; NaN for a row without an output or a reference.

    `word overlap` is the share of the output's words that occur in the reference, and `reverse` the
    share of the reference's in the output. Of several references the best counts.

    Args:
        rows: Their references give the words' weights.
        references: The texts to compare a row's output with.
    """
    overlap = WordOverlap.of(" ".join(texts) for row in rows if (texts := references(row)))

    def forward(row: Row) -> float:
        return max((overlap.share(output, each) for output, each in _pairs(row)), default=math.nan)

    def reverse(row: Row) -> float:
        return max((overlap.share(each, output) for output, each in _pairs(row)), default=math.nan)

    def _pairs(row: Row) -> list[tuple[str, str]]:
        output = row.interaction.output or ""
        return [(output, each) for each in references(row)] if output.strip() else []

    return {OVERLAP: forward, REVERSE: reverse}


def _words(text: str) -> list[str]:
    return [word for word, _, _ in words_of(text, "overlap")]
