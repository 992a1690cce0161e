from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import WORDS, make_bundle

from tipstaff.types import Highlight, Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.explanation import MAX_RUNS, SHARE, search, without, words_of
from tipstaff_server.evaluator.manifest import Windows


def explained(output, logit, **options):
    """Runs a search with `logit` as the model; returns the spans and the number of runs."""
    searching = search(Interaction("Q", output, "T"), **options)
    runs = 0
    try:
        asked = next(searching)
        while True:
            assert {(each.input, each.ground_truth) for each in asked} == {("Q", "T")}
            runs += len(asked)
            asked = searching.send([logit(each.output) for each in asked])
    except StopIteration as end:
        return end.value, runs


def wrongs(output: str) -> float:
    return -2.0 * output.split().count("wrong")


@given(st.integers(5, 300), st.data())
def test_what_lowers_the_score_is_found_wherever_it_stands(count, data):
    place = data.draw(st.integers(0, count - 1))
    words = ["right"] * count
    words[place] = "wrong"
    output = " ".join(words)
    (found,), runs = explained(output, wrongs, slope=0.5)
    assert "wrong" in output[found.start : found.end]
    assert found.weight == 1.0
    assert runs <= MAX_RUNS
    assert len(output[found.start : found.end].split()) <= max(1, round(SHARE * count))


def test_a_second_fault_is_found_beside_the_first():
    output = "it was wrong and then it was right and wrong"
    found, _ = explained(output, wrongs, start=100)
    assert [output[each.start - 100 : each.end - 100] for each in found] == ["wrong", "wrong"]
    assert [each.weight for each in found] == [2.0, 2.0]


def test_one_of_two_faults_is_enough_for_a_low_score():
    output = "a wrong b c d e f wrong g h i j"
    found, _ = explained(output, lambda text: -2.0 * ("wrong" in text) + 0.01 * ("b" not in text))
    # Removing either "wrong" alone raises nothing, so the search finds only "b".
    assert [output[each.start : each.end] for each in found] == ["b"]


@pytest.mark.parametrize("output", ["", "  ", "word", "all is well here today and ever"])
def test_where_nothing_raises_the_score_nothing_is_found(output):
    assert explained(output, lambda text: float(len(text)))[0] == ()


def test_scripts_without_blanks_go_sign_by_sign():
    found, _ = explained("東京は日本の大阪です。", lambda text: -float("大" in text))
    assert found == (Highlight(6, 7, 1.0),)


@given(st.text("ab 🦊\n", max_size=40), st.randoms())
def test_without_some_words_the_others_stay(text, dice):
    words = words_of(text)
    gone = dice.sample(words, len(words) // 2)
    kept = [text[start:end] for start, end in words if (start, end) not in gone]
    assert without(text, gone).split() == kept


def test_leaving_highlights_out_raises_scores_more_than_chance(tmp_path):
    """The check of `benchmarks/explain.py`, on random weights."""
    windows = Windows(output=16, ground_truth=16, max_runs=8)
    evaluator = Evaluator.load(make_bundle(tmp_path / "b", windows=windows))
    dice, rises = random.Random(0), []
    for _ in range(40):
        output = " ".join(dice.choices(WORDS, k=dice.randint(8, 30)))
        interaction = Interaction("paris", output, "the capital of france")
        spans = [(each.start, each.end) for each in evaluator.explain(interaction)]
        words = words_of(output)
        count = sum(a <= start < b for start, _ in words for a, b in spans)
        before = evaluator.score(interaction).logit
        rises.append(
            [
                evaluator.score(
                    Interaction("paris", without(output, gone), "the capital of france")
                ).logit
                - before
                for gone in (spans, dice.sample(words, count))
            ]
        )
    highlighted, at_random = np.mean(rises, axis=0)
    assert highlighted > at_random + 0.05
    assert np.mean([one > other for one, other in rises]) > 0.7
