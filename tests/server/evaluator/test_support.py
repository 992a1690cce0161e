from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bundle import make_bundle

from tipstaff.types import ContradictionKind, Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.support import MAX_SENTENCES, find_support
from tipstaff_server.evaluator.support.contradictions import contradictions_of
from tipstaff_server.evaluator.support.facts import numbers_of
from tipstaff_server.evaluator.support.passages import Passages, stems_of
from tipstaff_server.evaluator.support.sentences import sentences_of

TRUTH = (
    "Refunds are paid within 30 days of the purchase.\n"
    "The battery isn't covered by the warranty. Dr. Smith of the U.S. Army wrote 3 books."
)


def differences(sentence: str, passage: str, *others: str):
    return [
        (
            each.kind.value,
            sentence[each.start : each.end],
            each.truth_start is not None and passage[each.truth_start : each.truth_end],
        )
        for each in contradictions_of(sentence, passage, others)
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n ", []),
        ("one", ["one"]),
        (" One. Two!  Three? ", ["One.", "Two!", "Three?"]),
        ("Dr. Smith of the U.S. Army paid $3.50. He left.", 2),
        ("See no. 5, e.g. the third. T. S. Eliot wrote it.", 2),
        ("all is lower. nothing has capitals.", 2),
        ("He said “stop.” Then he left.\n- a list\n- of two", 4),
        ("東京は首都です。大阪は違います。", 2),
    ],
)
def test_sentences_end_where_readers_see_it(text, sentences):
    parts = [text[start:end] for start, end in sentences_of(text)]
    assert parts == sentences if isinstance(sentences, list) else len(parts) == sentences


@given(st.text("aB1.!? \n\"'。", max_size=60))
def test_no_word_is_in_no_sentence(text):
    spans = sentences_of(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(text[a:b].strip() == text[a:b] != "" for a, b in spans)
    assert spans == sorted(spans)


def test_the_best_passage_has_the_rare_words_in_any_form():
    lines = ["The board governs the club.", "A board of the club met.", "Clubs met boards."]
    text = "\n".join(lines)
    passages = Passages(text, sentences_of(text))
    assert passages.best(stems_of("Who is governing the board?"), 3)[0].index == 0
    assert passages.best(stems_of("unrelated words"), 3) == []


def test_a_neighbour_tells_who_he_is():
    text = "Anna wrote it.\nShe left in May.\nIt was long.\nPeter wrote too.\nHe left in May."
    passages = Passages(text, sentences_of(text))
    assert passages.best(stems_of("Peter left in May."), 1)[0].index == 4
    assert passages.best(stems_of("Anna left in May."), 1)[0].index == 1


@pytest.mark.parametrize(
    ("sentence", "passage", "expected"),
    [
        ("You get it within 900 days.", "It is paid within 30 days.", ("NUMBER", "900", "30")),
        ("It took 30 months.", "It took 30 days.", ("UNIT", "months", "days")),
        ("It cost £250.", "It cost $250.", ("UNIT", "£", "$")),
        ("A book by Charles Lee.", "A book by Harper Lee.", ("NAME", "Charles", "Harper")),
        ("The fee is not refunded.", "The fee is refunded.", ("NEGATION", "not", False)),
        ("She likes the name.", "She dislikes the name.", ("NEGATION", "likes", "dislikes")),
    ],
)  # fmt: skip
def test_what_differs_is_named_with_what_stands_in_its_place(sentence, passage, expected):
    assert differences(sentence, passage) == [expected]


def test_a_negation_that_only_the_passage_has_contradicts_the_sentence():
    ((kind, said, there),) = differences("The fee is refunded.", "The fee isn't refunded.")
    assert (kind, said, there) == ("NEGATION", "The fee is refunded.", "n't")


@pytest.mark.parametrize(
    ("sentence", "passage"),
    [
        ("It has three parts.", "It has 3 parts."),
        ("He ruled for two decades.", "He ruled for 20 years."),
        ("It was made in the 1960s.", "It was made in 1963."),
        ("It was made in the 19th century.", "It was made in 1850."),
        ("Over 9,800 degrees.", "It is 9,806 degrees."),
        ("The fee is not refundable.", "The fee isn't refundable."),
        ("She is not happy.", "She is unhappy."),
        ("It has 1,200 rooms.", "Of its 1200 rooms, some are small."),
    ],
)
def test_another_wording_of_the_same_is_no_contradiction(sentence, passage):
    assert differences(sentence, passage) == []


def test_a_number_that_stands_nearby_is_no_contradiction():
    assert differences("It cost 40 dollars.", "It cost a lot.", "That is 40 dollars.") == []


@given(st.text("0123456789,.st$% -millionyears\n", max_size=40))
def test_any_text_has_numbers_or_none(text):
    for number in numbers_of(text):
        start, end = number.span
        assert text[start:end].strip() != ""


def test_offsets_are_code_points_of_both_texts():
    output = "🦊🦊 Refunds are paid within 900 days. The moon is far."
    truth = "🦊 漢字\n" + TRUTH
    support = find_support(Interaction("Q", output, truth), room=1000)
    first, second = support.evidence([0.9, 0.4])
    assert output[first.start : first.end].endswith("900 days.")
    assert truth[first.passage.start : first.passage.end].startswith("Refunds are paid within 30")
    (number,) = first.contradictions
    assert number.kind is ContradictionKind.NUMBER
    assert output[number.start : number.end] == "900"
    assert truth[number.truth_start : number.truth_end] == "30"
    assert second.passage is None
    assert second.contradictions == ()
    assert first.score < second.score < second.evaluator_score + 1


def test_a_sentence_is_scored_alone_with_what_is_around_its_passage():
    truth = "\n".join(f"Line {n} is about the topic {n}." for n in range(200))
    output = "The topic 150 is fine. Another thing."
    support = find_support(Interaction("Q", output, truth), room=200)
    first, second = support.variants
    assert (first.input, first.output) == ("Q", "The topic 150 is fine.")
    assert "Line 150 is" in first.ground_truth
    assert len(first.ground_truth) <= 200
    assert len(second.ground_truth) <= 200


@pytest.mark.parametrize("truth", [None, "", "   "])
def test_without_a_ground_truth_there_is_no_passage(truth):
    support = find_support(Interaction("Q", "It is 5. It is red.", truth), room=100)
    assert support.passages == (None, None)
    assert support.contradictions == ((), ())
    assert {each.ground_truth for each in support.variants} == {truth}


@given(st.integers(1, 200))
@settings(max_examples=20)
def test_many_sentences_share_evidence_and_none_is_lost(count):
    output = " ".join(f"This is sentence {number}." for number in range(count))
    support = find_support(Interaction(None, output, "This is."), room=100)
    assert len(support.sentences) <= MAX_SENTENCES
    read = "".join(output[start:end] for start, end in support.sentences)
    assert read.replace(" ", "") == output.replace(" ", "")


@pytest.mark.parametrize(
    "piece",
    ["a. ", "The board met 5 times. ", "not ", "1,", "A.", "”", "un" * 9 + " ", "漢。", "Bob "],
)  # fmt: skip
def test_the_time_grows_with_the_text_and_not_faster(piece):
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.thread_time()
        find_support(Interaction(text, text, text), room=1000)
        return time.thread_time() - started

    small = min(seconds(10_000) for _ in range(2))
    assert seconds(80_000) < 8 * 4 * small + 0.2


def test_between_steps_the_search_can_be_stopped():
    steps = []

    def stop() -> None:
        steps.append(0)
        if len(steps) > 3:
            raise TimeoutError

    text = "The board met. " * 5000
    with pytest.raises(TimeoutError):
        find_support(Interaction(None, text, text), room=100, checkpoint=stop)


def test_an_evaluator_scores_each_sentence(tmp_path):
    evaluator = Evaluator.load(make_bundle(tmp_path / "b"))
    interaction = Interaction("q", "paris is it. no refund in 90 days.", "refund in 30 days")
    first, second = evaluator.explain_sentences(interaction)
    alone = evaluator.score(Interaction("q", "paris is it.", "refund in 30 days"))
    assert first.evaluator_score == alone.score
    assert [each.kind.value for each in second.contradictions] == ["NEGATION", "NUMBER"]
    assert second.score < second.evaluator_score
