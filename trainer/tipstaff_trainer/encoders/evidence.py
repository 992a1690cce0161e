"""Counts what lexical evidence needs: how many training texts have each word, and what it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from tipstaff.types import Field
from tipstaff_server.evaluator.evidence import NEGATION, NUMBER, SENTENCE_END, EvidenceMeter
from tipstaff_trainer.data import Row

_FIELDS: tuple[Field, ...] = ("output", "ground_truth")
# What tokenizers put before the pieces of words: WordPiece, SentencePiece, byte-level BPE.
_MARKERS = "#▁Ġ"
_NUMBERS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred thousand million billion first second third""".split()
)
_NEGATIONS = frozenset(
    """no not never none nobody nothing neither nor without cannot unlike instead rather wrong false
    incorrect fails failed denied denies""".split()
)
_SENTENCE_ENDS = frozenset(".!?。！？।؟")


def count_words(tokenizer: Tokenizer, rows: Sequence[Row]) -> EvidenceMeter:
    """Makes the meter of an evaluator from its training rows.

    A word's weight is log((n + 1) / (f + 1/2)), where f of n outputs and ground truths have it.

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
            NUMBER * (word.isdigit() or word in _NUMBERS)
            + NEGATION * (word in _NEGATIONS)
            + SENTENCE_END * (word in _SENTENCE_ENDS)
        )
    weights = np.log((len(texts) + 1) / (frequencies + 0.5))
    return EvidenceMeter(np.maximum(weights, 0).astype(np.float32), kinds)
