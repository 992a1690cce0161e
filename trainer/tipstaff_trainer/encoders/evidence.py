"""Counts what lexical evidence needs: how many training texts have each word, and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer

from tipstaff.types import Field
from tipstaff_server.evaluator.evidence import NEGATION, NUMBER, SENTENCE_END, EvidenceMeter
from tipstaff_trainer.data import Row

_FIELDS: tuple[Field, ...] = ("output", "ground_truth")
# What tokenizers put before the pieces of words: WordPiece, SentencePiece, byte-level BPE.
_CONTINUES, _STARTS = "##", ("▁", "Ġ")
_MARKERS = "#▁Ġ"
# Of the weight of a piece inside a word: a word counts by its first piece. A word with a typing
# error has many pieces, all rare, and would count as several words that are missing.
_INSIDE = 0.1
NUMBERS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred thousand million billion first second third""".split()
)
NEGATIONS = frozenset(
    """no not never none nobody nothing neither nor without cannot unlike instead rather wrong false
    incorrect fails failed denied denies""".split()
)
_SENTENCE_ENDS = frozenset(".!?。！？।؟")


def count_words(tokenizer: Tokenizer, rows: Sequence[Row]) -> EvidenceMeter:
    """Makes the meter of an evaluator from its training rows.

    A word's weight is log((n + 1) / (f + 1/2)), where f of n outputs and ground truths have it; a
    piece inside a word weighs a tenth of that.

    Args:
        tokenizer: The encoder's tokenizer, without truncation.
        rows: The rows that the weights will be fitted to.
    """
    texts = [text for row in rows for name in _FIELDS if (text := row.interaction.get(name))]
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    frequencies = np.zeros(tokenizer.get_vocab_size())
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        frequencies[np.unique(np.array(encoding.ids, dtype=np.int64))] += 1
    kinds = np.zeros(len(frequencies), dtype=np.uint8)
    for token, place in vocabulary.items():
        word = token.strip(_MARKERS).lower()
        kinds[place] = (
            NUMBER * (word.isdigit() or word in NUMBERS)
            + NEGATION * (word in NEGATIONS)
            + SENTENCE_END * (word in _SENTENCE_ENDS)
        )
    weights = np.log((len(texts) + 1) / (frequencies + 0.5))
    weights[_pieces_inside_words(vocabulary)] *= _INSIDE
    return EvidenceMeter(np.maximum(weights, 0).astype(np.float32), kinds)


def _pieces_inside_words(vocabulary: Mapping[str, int]) -> list[int]:
    """The ids of pieces that continue a word; empty where the vocabulary doesn't tell."""
    if any(token.startswith(_CONTINUES) for token in vocabulary):
        return [place for token, place in vocabulary.items() if token.startswith(_CONTINUES)]
    if any(token.startswith(_STARTS) for token in vocabulary):
        return [
            place
            for token, place in vocabulary.items()
            if token[:1].isalpha() and not token.startswith(_STARTS)
        ]
    return []
