from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from tipstaff.types import Interaction
from tipstaff_server.evaluator.evidence import NEGATION, NUMBER, SENTENCE_END
from tipstaff_trainer.data import Row
from tipstaff_trainer.encoders.evidence import count_words


def tokenizer(*pieces, kind=models.WordPiece):
    vocabulary = {piece: place for place, piece in enumerate(("[UNK]", *pieces))}
    if kind is models.BPE:
        return Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]"))
    return Tokenizer(kind(vocabulary, unk_token="[UNK]"))


def rows(*outputs):
    return [
        Row(id=str(place), interaction=Interaction(output=output, ground_truth=""), label=1.0)
        for place, output in enumerate(outputs)
    ]


def test_words_of_few_texts_weigh_more():
    meter = count_words(tokenizer("cat", "dog", "fox"), rows("cat", "cat", "dog"))
    _, cat, dog, fox = meter.weights.tolist()
    assert [cat, dog, fox] == pytest.approx(np.log([4 / 2.5, 4 / 1.5, 4 / 0.5]))


@pytest.mark.parametrize(
    ("start", "inside", "kind"),
    [("cat", "##cat", models.WordPiece), ("▁cat", "cat", models.BPE), ("Ġcat", "cat", models.BPE)],
)
def test_a_word_counts_by_its_first_piece(start, inside, kind):
    meter = count_words(tokenizer(start, inside, kind=kind), rows("1"))
    _, first, other = meter.weights.tolist()
    assert other == pytest.approx(first / 10)


def test_what_a_token_is_stands_beside_its_weight():
    meter = count_words(tokenizer("cat", "not", "30", "."), rows("cat"))
    assert meter.kinds.tolist() == [0, 0, NEGATION, NUMBER, SENTENCE_END]
