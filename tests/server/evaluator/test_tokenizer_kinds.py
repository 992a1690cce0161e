"""Layout and marks with each kind of tokenizer: words, byte pairs, word pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import tiny_tokenizer
from tokenizers import Tokenizer

from tipstaff import Interaction
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Encoding

ENCODING = Encoding(
    order=("output", "ground_truth", "input"),
    marks="overlap",
    max_length=128,
    cls_id=2,
    sep_id=3,
    pad_id=0,
)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "albert"])
def test_the_tokens_of_shared_words_are_marked_and_no_others(architecture):
    tokenizer = Tokenizer.from_str(tiny_tokenizer(architecture).backend_tokenizer.to_str())
    encoder = Encoder(tokenizer.to_str(), ENCODING)
    encoded = encoder.encode(
        Interaction("what colour is the bird", "it is green, small", "the bird is green and eats")
    )
    seps = [place for place, token in enumerate(encoded.runs[0].ids) if token == 3]
    assert len(seps) == 3
    bounds = zip([0, *seps], seps, strict=False)
    marked = [
        tokenizer.decode(
            [
                int(encoded.runs[0].ids[place])
                for place in range(start + 1, end)
                if encoded.runs[0].marks[place]
            ]
        ).split()
        for start, end in bounds
    ]
    assert marked == [["green"], ["green"], []]


KINDS = {
    architecture: Encoder(tiny_tokenizer(architecture).backend_tokenizer.to_str(), ENCODING)
    for architecture in ("bert", "roberta", "albert")
}
TEXTS = st.text() | st.lists(st.sampled_from("the bird 42 naïve 漢字 \x1c, é?".split(" "))).map(
    " ".join
)


@pytest.mark.parametrize("architecture", list(KINDS))
@given(interaction=st.builds(Interaction, TEXTS, TEXTS, TEXTS))
def test_an_interaction_has_at_least_as_many_tokens_as_its_words_tell(architecture, interaction):
    encoder = KINDS[architecture]
    assert encoder.least_length(interaction) <= len(encoder.encode(interaction))


@pytest.mark.parametrize("architecture", list(KINDS))
def test_the_words_tell_most_of_the_length(architecture):
    interaction = Interaction("what colour is the bird", "it is green, small " * 8, "green")
    encoder = KINDS[architecture]
    assert encoder.least_length(interaction) > len(encoder.encode(interaction)) / 4
    assert encoder.least_length(Interaction(output="long " * 500)) == ENCODING.max_length


@pytest.mark.parametrize("architecture", ["bert", "roberta", "albert"])
def test_no_text_can_forge_the_layout(architecture):
    tokenizer = tiny_tokenizer(architecture).backend_tokenizer.to_str()
    encoded = Encoder(tokenizer, ENCODING).encode(
        Interaction("a", "no [SEP] yes [CLS] [PAD]", "no")
    )
    ids = encoded.runs[0].ids.tolist()
    assert (ids.count(2), ids.count(3), ids.count(0)) == (1, 3, 0)
