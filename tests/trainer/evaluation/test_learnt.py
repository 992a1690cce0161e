"""Whether an evaluator counts as better than simpler rules."""

from __future__ import annotations

import numpy as np
import pytest

from tipstaff import Interaction
from tipstaff.types import Verdict
from tipstaff_server.evaluator import Prediction
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.learnt import measure_learnt
from tipstaff_trainer.evaluation.scored import ScoredRows

CHANCE, RATE = "chance", "base rate"
FORWARD, REVERSE = "word overlap", "word overlap, reverse"


def rows_of(labels, *, overlap=None, groups=None, ground_truth=True):
    """Rows whose words agree with the ground truth where `overlap` is true."""
    shared = np.zeros(len(labels)) if overlap is None else overlap
    return [
        Row(
            Interaction(
                f"question {index}",
                f"word{index}" if same else f"other{index}",
                f"word{index}" if ground_truth else None,
            ),
            label=float(label),
            id=str(index),
            group=str(index if groups is None else groups[index]),
        )
        for index, (label, same) in enumerate(zip(labels, shared, strict=True))
    ]


def scored(rows, scores):
    predictions = [
        Prediction(float(score), Verdict.REVIEW, (), 0.0, np.zeros(1, np.float32))
        for score in scores
    ]
    return ScoredRows.of(rows, predictions, [1] * len(rows))


def noisy(labels, spread, seed=0):
    """Scores whose AUROC is about 0.5 for a spread of infinity and 1 for one of 0."""
    noise = np.random.default_rng(seed).normal(size=len(labels))
    return 1 / (1 + np.exp(-(2 * (np.array(labels) - 0.5) + spread * noise)))


def passed(learnt):
    return {each.baseline: each.passed for each in learnt.comparisons}


LABELS = np.tile([1, 0], 100)
TRAIN = rows_of(LABELS)


def test_one_that_knows_more_than_all_rules_has_learnt():
    learnt = measure_learnt({"validation": scored(rows_of(LABELS), noisy(LABELS, 1))}, TRAIN)
    assert set(passed(learnt)) == {CHANCE, RATE, FORWARD, REVERSE}
    assert learnt.verdict
    assert (learnt.rows, learnt.n, learnt.good) == ("validation", 200, 100)


def test_one_that_guesses_has_not():
    learnt = measure_learnt({"validation": scored(rows_of(LABELS), noisy(LABELS, 50))}, TRAIN)
    assert not learnt.verdict
    assert not passed(learnt)[CHANCE]
    (chance,) = (each for each in learnt.comparisons if each.baseline == CHANCE)
    assert chance.difference.low < 0 < chance.difference.high


def test_what_is_over_chance_and_yet_of_no_use_has_not_learnt():
    labels = np.tile([1, 0], 1000)
    learnt = measure_learnt({"validation": scored(rows_of(labels), noisy(labels, 8))}, TRAIN)
    (chance,) = (each for each in learnt.comparisons if each.baseline == CHANCE)
    assert chance.difference.low > 0
    assert chance.evaluator < 0.6
    assert not chance.passed


def test_words_that_say_more_than_the_evaluator_are_told():
    rows = rows_of(LABELS, overlap=LABELS)
    learnt = measure_learnt({"validation": scored(rows, noisy(LABELS, 2))}, TRAIN)
    assert passed(learnt) == {CHANCE: True, RATE: True, FORWARD: False, REVERSE: False}
    assert not learnt.verdict
    (words,) = (each for each in learnt.comparisons if each.baseline == FORWARD)
    assert words.value == 1
    assert words.evaluator + -words.difference.value == pytest.approx(1)


def test_a_tie_with_words_is_no_failure():
    rows = rows_of(LABELS, overlap=LABELS)
    assert measure_learnt({"validation": scored(rows, 0.2 + 0.6 * LABELS)}, TRAIN).verdict


def test_an_evaluator_whose_scores_are_far_off_is_behind_the_base_rate():
    # The order is right and each score is high: the base rate's squared error is smaller.
    scores = 0.98 + 0.01 * LABELS
    learnt = measure_learnt({"validation": scored(rows_of(LABELS), scores)}, TRAIN)
    assert passed(learnt) == {CHANCE: True, RATE: False, FORWARD: True, REVERSE: True}
    assert not learnt.verdict


def test_rows_of_one_group_are_one_observation():
    alone = measure_learnt(
        {"validation": scored(rows_of(LABELS[:24]), noisy(LABELS[:24], 1))}, TRAIN
    )
    copied = rows_of(np.repeat([1, 0], 12), groups=np.repeat([0, 1], 12))
    together = measure_learnt(
        {"validation": scored(copied, noisy(np.repeat([1, 0], 12), 1))}, TRAIN
    )
    assert alone.verdict
    assert not passed(together)[CHANCE]


def test_test_rows_are_counted_with_the_validation_rows():
    few = scored(rows_of(LABELS[:4]), noisy(LABELS[:4], 2))
    more = scored(rows_of(LABELS), noisy(LABELS, 2))
    assert not measure_learnt({"validation": few}, TRAIN).verdict
    learnt = measure_learnt({"validation": few, "test": more}, TRAIN)
    assert (learnt.rows, learnt.n, learnt.verdict) == ("validation and test", 204, True)


def test_rows_of_one_class_show_nothing():
    learnt = measure_learnt({"validation": scored(rows_of([1] * 30), [0.9] * 30)}, TRAIN)
    assert (learnt.comparisons, learnt.verdict, learnt.good) == ((), False, 30)


def test_without_ground_truth_words_are_compared_with_the_input():
    rows = rows_of(LABELS, ground_truth=False)
    learnt = measure_learnt({"validation": scored(rows, noisy(LABELS, 1))}, TRAIN)
    assert FORWARD in passed(learnt)
    outputs = [
        Row(Interaction(None, f"word{index}", None), label=float(label), id=str(index))
        for index, label in enumerate(LABELS)
    ]
    learnt = measure_learnt({"validation": scored(outputs, noisy(LABELS, 1))}, TRAIN)
    assert set(passed(learnt)) == {CHANCE, RATE}


@pytest.mark.parametrize(("spread", "better"), [(0.3, False), (4, True)])
def test_the_version_before_is_compared_on_rows_that_are_new_to_it(spread, better):
    before = noisy(LABELS, spread, seed=1)
    before[:50] = np.nan
    part = {"validation": scored(rows_of(LABELS), noisy(LABELS, 1))}
    learnt = measure_learnt(part, TRAIN, lambda rows: before)
    (comparison,) = (each for each in learnt.comparisons if each.baseline == "version before")
    assert comparison.difference.n == 150
    assert comparison.passed == learnt.verdict == better


def test_a_version_before_that_knows_all_rows_is_left_out():
    part = {"validation": scored(rows_of(LABELS), noisy(LABELS, 1))}
    for answer in (None, np.full(len(LABELS), np.nan)):
        learnt = measure_learnt(part, TRAIN, lambda rows, answer=answer: answer)
        assert "version before" not in passed(learnt)
        assert learnt.verdict
