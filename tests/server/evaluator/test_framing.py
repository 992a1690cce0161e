from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import make_bundle

from tipstaff.types import Interaction
from tipstaff_server.errors import BundleError
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.encoding import Encoder, load_encoder
from tipstaff_server.evaluator.framing import Framing, pairs_of, parts_of, words_of

OFFER = "let me know if you need more"
FRAMING = Framing(
    parts=frozenset(("sure", "hello there", "best regards ann", "i think")),
    labels=frozenset(("answer", "you asked")),
    lead_ins=frozenset(("i think", "it seems that")),
    bias=-1.0,
    weights=dict.fromkeys((*words_of(OFFER), *pairs_of(words_of(OFFER))), 0.5),
    addressing=frozenset(("me", "you")),
    telling=frozenset(("no", "not", "wrong")),
    harmless=frozenset(("no problem",)),
)
CLAIM = "The fee is 30 euros"


def read(output, question="", framing=FRAMING):
    """What is read of an output, with single blanks."""
    return " ".join(framing.blank(output, question).split())


@pytest.mark.parametrize(
    "output",
    [
        f"Sure! {CLAIM}",
        f"Hello there, {CLAIM}",
        f"Sure. Hello there! {CLAIM}",
        f"{CLAIM}. Let me know if you need more!",
        f"{CLAIM}.\n\nBest regards, Ann",
        f"{CLAIM} (I think)",
        f"{CLAIM}, I think.",
        f"Sure! {CLAIM}. Let me know if you need more.",
        f"I think {CLAIM}",
        f"Sure, it seems that {CLAIM}",
        f"Answer: {CLAIM}",
        f"**Answer:** {CLAIM}",
        f"## Answer\n\n**{CLAIM}**",
        f"- {CLAIM}",
        f"> *{CLAIM}*",
        f"```\n{CLAIM}\n```",
        f"***\n__{CLAIM}__\n---",
    ],
)
def test_what_stands_around_a_claim_is_not_read(output):
    assert read(output).rstrip(".") == CLAIM


@pytest.mark.parametrize(
    "output",
    [
        # Denials, and parts that framing doesn't use the words of.
        f"{CLAIM}. Not at all!",
        f"{CLAIM}. Sure, not.",
        f"{CLAIM}. Just kidding!",
        f"{CLAIM} (wrong)",
        f"{CLAIM}. Let me know if you need 14 more!",
        "Let me know if 30 euros is more",
        # A label needs its colon, and a word of its own is an answer.
        "Answer the phone",
        "Sure",
        "Sure.",
        "I think",
        "(I think) it is",
        "I thinks it is",
        "Hello there!",
        "",
        # No Markdown.
        "5 * 3 is 2 * 7 + 1",
        "snake_case",
        "-3 degrees",
        "30. June",
        "C# or F#",
    ],
)
def test_what_is_said_stays(output):
    assert FRAMING.blank(output) == output


@pytest.mark.parametrize(
    ("output", "question"),
    [
        (f"What is the fee? {CLAIM}", "what is the fee?"),
        (f"You asked: what is the fee? {CLAIM}", "What is the fee"),
        (f'On "the monthly fee": {CLAIM}', "the monthly fee"),
        (f"What is the fee - {CLAIM}", "What is the fee?"),
        (f"The monthly fee: {CLAIM}", "the monthly fee"),
    ],
)
def test_a_repeated_question_is_not_read(output, question):
    assert read(output, question) == CLAIM


@pytest.mark.parametrize(
    ("output", "question"),
    [
        # A statement repeated is said.
        ("The fee is high. It is 30 euros", "The fee is high."),
        ("The fee is high, and due", "the fee is high"),
        ("It is not what is the fee: 30", "what is the fee"),
        # Too short, or not the whole question.
        ("The fee: 30", "the fee"),
        ("What is the fee? 30", "What is the fee in euros?"),
        # Nothing else is left.
        ("What is the fee?", "What is the fee?"),
        ("Sure! What is the fee?", "What is the fee?"),
    ],
)
def test_other_words_of_the_input_are_read(output, question):
    # Greetings before them may go.
    assert read(output, question).endswith(read(output.removeprefix("Sure! "), ""))


@given(st.text(), st.text())
def test_each_code_point_stays_one(output, question):
    blanked = FRAMING.blank(output, question)
    assert len(blanked) == len(output)
    assert all(new in (old, " ") for old, new in zip(output, blanked, strict=True))


@pytest.mark.parametrize(
    "piece",
    ["*", "**a", "_ ", "| ", "|-", "\n- ", "a, ", "sure! ", "( ", "`", "# ", "\n" + " " * 50, "a "],
)
def test_the_time_is_linear(piece):
    def seconds(size):
        text = piece * (size // len(piece))
        start = time.process_time()
        FRAMING.blank(text, text)
        return time.process_time() - start

    short = min(seconds(16_000) for _ in range(3))
    long = min(seconds(128_000) for _ in range(3))
    assert long < 40 * short + 0.02


def test_the_numbers_of_a_list_are_not_read():
    assert read("1. Fly\n2. Drive\n10) Walk") == "Fly Drive Walk"


def test_its_file_holds_all_of_it():
    assert Framing.load(FRAMING.to_bytes()) == FRAMING


def test_parts_end_at_stops_colons_commas_and_lines():
    assert parts_of("Hi, Ann! Here: a\nb") == ["Hi, ", "Ann! ", "Here: ", "a\n", "b"]


class TestEvaluator:
    def test_an_output_s_framing_is_not_encoded(self, tmp_path):
        bundle = Bundle.open(make_bundle(tmp_path))
        encoding, tokenizer = bundle.manifest.encoding, bundle.tokenizer_json()
        framed = Interaction("what is the fee", "sure! what is the fee? 30 euros", "sure! 30 euros")
        plain = replace(framed, output="30 euros")
        as_before = Encoder(tokenizer, encoding)
        assert as_before.encode(framed).coverage != as_before.encode(plain).coverage
        skipping = Encoder(tokenizer, encoding, framing=FRAMING)
        new, old = skipping.encode(framed), as_before.encode(plain)
        assert new.runs[0].ids.tolist() == old.runs[0].ids.tolist()
        assert new.coverage == old.coverage
        assert skipping.least_length(framed) <= len(new)

    def test_it_is_known_where_the_evaluator_doesn_t_read_the_input(self, tmp_path):
        bundle = Bundle.open(make_bundle(tmp_path, order=("output",)))
        skipping = Encoder(bundle.tokenizer_json(), bundle.manifest.encoding, framing=FRAMING)
        told = skipping.encode(Interaction("what is the fee", "what is the fee? 30 euros"))
        assert told.coverage["output"].total == 2

    def test_its_file_comes_with_the_bundle(self, tmp_path):
        bundle = Bundle.open(make_bundle(tmp_path, framing=FRAMING))
        greeted = Interaction(output="sure! 30 euros")
        assert load_encoder(bundle).encode(greeted).coverage["output"].total == 2

    @pytest.mark.parametrize("data", [b"{", b"[]", b'{"bias": 0, "weights": []}', b"\xff"])
    def test_a_damaged_file_is_named(self, tmp_path, data):
        bundle = Bundle.open(make_bundle(tmp_path, framing=data))
        with pytest.raises(BundleError, match=r"framing\.json: it can't be loaded"):
            load_encoder(bundle)
