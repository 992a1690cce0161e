from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import make_bundle

from tipstaff.types import Interaction
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.look_alikes import fold_look_alikes


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("the сapitаl is Рaris", "the capital is Paris"),
        ("Ｐａｒｉｓ in ３０ days", "Paris in 30 days"),
        ("𝐏𝐚𝐫𝐢𝐬 in 𝟑𝟎 days", "Paris in 30 days"),
        ("Lοndon", "London"),  # a Greek omicron
        ("Ｐаris", "Paris"),  # both at once
        # Words that are all of another script are words of their language.
        ("Москва и Paris", "Москва и Paris"),
        ("οκ Αθήνα", "οκ Αθήνα"),
        ("TNFα and IFNγ", "TNFα and IFNγ"),
        ("5 m² café naïve", "5 m² café naïve"),
        ("", ""),
    ],
)
def test_a_disguised_word_is_the_same_word(text, read):
    assert fold_look_alikes(text) == read


@given(st.text())
def test_each_code_point_stays_one_and_ascii_stays_itself(text):
    folded = fold_look_alikes(text)
    assert len(folded) == len(text)
    pairs = list(zip(text, folded, strict=True))
    assert all(new == old for old, new in pairs if old.isascii())
    assert all(new.isascii() for old, new in pairs if new != old)
    assert fold_look_alikes(folded) == folded


def test_an_evaluator_folds_if_its_manifest_says_so(tmp_path):
    bundle = Bundle.open(make_bundle(tmp_path / "tiny"))
    encoding, tokenizer = bundle.manifest.encoding, bundle.tokenizer_json()
    plain, disguised = Interaction(output="the paris"), Interaction(output="the pаris")

    def ids(encoder, interaction):
        return encoder.encode(interaction).runs[0].ids.tolist()

    as_before = Encoder(tokenizer, encoding)
    assert ids(as_before, disguised) != ids(as_before, plain)
    folding = Encoder(tokenizer, encoding.model_copy(update={"fold_look_alikes": True}))
    assert ids(folding, disguised) == ids(folding, plain)
    read = folding.encode(disguised).coverage["output"]
    assert read == folding.encode(plain).coverage["output"]
