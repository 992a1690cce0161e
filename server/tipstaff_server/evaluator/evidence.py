"""Lexical evidence: what the shared words of output, ground truth and input say by themselves.

A small encoder reads sentences well and counts badly, and whether an output's rare words occur in
the ground truth is a matter of counting. So each run brings some numbers on that to the model's
head, beside its tokens: shares of words that are found again, each word weighted by its inverse
document frequency (Robertson & Zaragoza 2009), and counts of the numbers and names that are not.

Words are the tokenizer's pieces: cheap to compare, in any language that the encoder reads.
`tipstaff_trainer.encoders.evidence` counts their frequencies.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

# The numbers, in order. Shares are in [0, 1], and one half where there is nothing to compare. New
# words are those that the input doesn't have.
NAMES: Final = (
    "share of the output's words that the ground truth has",
    "share of the ground truth's words that the output has",
    "share of the output's new words that the ground truth has",
    "share of the ground truth's new words that the output has",
    "the first share, in the output's worst sentence",
    "the first share, in the ground truth's best sentence",
    "share of the output's pairs of words that the ground truth has",
    "share of the ground truth's pairs of words that the output has",
    "log(1 + n) for the output's n new numbers that the ground truth lacks",
    "1 where the ground truth has a new number of the output",
    "log(1 + n) for the output's n new capitalised words that the ground truth lacks",
    "1 where the ground truth has a new capitalised word of the output",
    "1 where the output has a negation",
    "1 where the ground truth has a negation",
    "log(1 + w) for the weight w of the output's new words that the ground truth lacks",
    "weight of the heaviest of these",
)
# The place of the first of them.
SHARE_OF_OUTPUT: Final = 0
# Kinds of words; a token's kind is the sum of those that apply.
NUMBER: Final = 1
NEGATION: Final = 2
SENTENCE_END: Final = 4

# Of runs whose evaluator asks for no evidence.
NONE: Final = np.zeros(len(NAMES), dtype=np.float32)

_NOTHING_TO_COMPARE = 0.5


@dataclass(frozen=True)
class EvidenceMeter:
    """Measures the lexical evidence of runs, for one vocabulary.

    Attributes:
        weights: The inverse document frequency of each token id, shape (vocabulary,).
        kinds: What each token is: NUMBER, NEGATION, SENTENCE_END, a sum of them or 0; shape
            (vocabulary,).
    """

    weights: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Checks the arrays.

        Raises:
            ValueError: Their shapes differ, or a weight is negative or not finite.
        """
        if self.weights.ndim != 1 or self.weights.shape != self.kinds.shape:
            raise ValueError(f"weights {self.weights.shape} with kinds {self.kinds.shape}")
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all()):
            raise ValueError("a weight is negative or not finite")

    @classmethod
    def load(cls, data: bytes) -> EvidenceMeter:
        """Reads the form that `to_bytes` writes.

        Raises:
            ValueError, KeyError, OSError: The data has another form.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(arrays["weights"].astype(np.float32), arrays["kinds"].astype(np.uint8))

    def to_bytes(self) -> bytes:
        """The arrays as a NumPy archive, without pickle."""
        file = io.BytesIO()
        np.savez_compressed(file, weights=self.weights, kinds=self.kinds)
        return file.getvalue()

    def measure(
        self,
        output: Sequence[int],
        truth: Sequence[int],
        query: Collection[int],
        capitals: Collection[int],
    ) -> npt.NDArray[np.float32]:
        """The evidence of one run, in the order of `NAMES`; shape (len(NAMES),).

        The time is linear in the run's tokens. Loops, since NumPy takes longer for short runs.

        Args:
            output: The ids of the output's tokens that the run reads.
            truth: Those of the ground truth.
            query: Those of the input.
            capitals: Those of the output's tokens that start with a capital letter.
        """
        ours, theirs, known = set(output), set(truth), set(query)
        both, new = ours & theirs, ours - known
        missing, found = new - theirs, new & theirs
        our_pairs, their_pairs = list(pairwise(output)), list(pairwise(truth))
        our_share, our_new_share, worst = self._shares(output, both, known)
        their_share, their_new_share, _ = self._shares(truth, both, known)
        weights = self._weights
        missing_weights = [weights[token] for token in output if token in missing]
        return np.array(
            (
                our_share,
                their_share,
                our_new_share,
                their_new_share,
                worst,
                self._best_sentence(output, truth, both),
                self._share_of_pairs(our_pairs, set(their_pairs)),
                self._share_of_pairs(their_pairs, set(our_pairs)),
                math.log1p(len(missing & self._numbers)),
                not found.isdisjoint(self._numbers),
                math.log1p(len(missing.intersection(capitals))),
                not found.isdisjoint(capitals),
                not ours.isdisjoint(self._negations),
                not theirs.isdisjoint(self._negations),
                math.log1p(math.fsum(missing_weights)),
                max(missing_weights, default=0.0),
            ),
            dtype=np.float32,
        )

    @cached_property
    def _weights(self) -> list[float]:
        return self.weights.tolist()  # type: ignore[no-any-return]

    @cached_property
    def _numbers(self) -> frozenset[int]:
        return self._of_kind(NUMBER)

    @cached_property
    def _negations(self) -> frozenset[int]:
        return self._of_kind(NEGATION)

    @cached_property
    def _sentence_ends(self) -> frozenset[int]:
        return self._of_kind(SENTENCE_END)

    def _of_kind(self, kind: int) -> frozenset[int]:
        return frozenset(np.flatnonzero(self.kinds & kind).tolist())

    def _shares(
        self, ids: Sequence[int], both: Collection[int], known: Collection[int]
    ) -> tuple[float, float, float]:
        """The share of a text's weight that both texts have.

        Returns:
            The share of all words, of the new ones, and of the words of the worst sentence.
        """
        weights, ends = self._weights, self._sentence_ends
        total = found = new_total = new_found = sentence_total = sentence_found = 0.0
        worst, last = 2.0, len(ids) - 1
        for place, token in enumerate(ids):
            weight = weights[token]
            sentence_total += weight
            if token not in known:
                new_total += weight
            if token in both:
                sentence_found += weight
                if token not in known:
                    new_found += weight
            if sentence_total and (token in ends or place == last):
                worst = min(worst, sentence_found / sentence_total)
                total += sentence_total
                found += sentence_found
                sentence_total = sentence_found = 0.0
        return (
            _share(found, total),
            _share(new_found, new_total),
            worst if worst <= 1 else _NOTHING_TO_COMPARE,
        )

    def _share_of_pairs(
        self, pairs: Iterable[tuple[int, int]], others: Collection[tuple[int, int]]
    ) -> float:
        weights, total, found = self._weights, 0.0, 0.0
        for pair in pairs:
            weight = weights[pair[0]] + weights[pair[1]]
            total += weight
            if pair in others:
                found += weight
        return _share(found, total)

    def _best_sentence(
        self, ours: Sequence[int], theirs: Sequence[int], both: Collection[int]
    ) -> float:
        """The largest share of the output's words that one sentence of the ground truth has."""
        weights, ends = self._weights, self._sentence_ends
        counts = Counter(ours)
        total = math.fsum(weights[token] * count for token, count in counts.items())
        best = value = 0.0
        seen: set[int] = set()
        for token in theirs:
            if token in both and token not in seen:
                seen.add(token)
                value += counts[token] * weights[token]
                best = max(best, value)
            if token in ends:
                value, seen = 0.0, set()
        return _share(best, total)


def _share(found: float, total: float) -> float:
    return found / total if total else _NOTHING_TO_COMPARE
