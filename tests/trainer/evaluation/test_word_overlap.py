from __future__ import annotations

import math

import pytest

from tipstaff import Interaction
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.reference_metrics import reference_metrics
from tipstaff_trainer.evaluation.word_overlap import OVERLAP, REVERSE, WordOverlap, word_overlaps


def row(output, ground_truth):
    return Row(Interaction(None, output, ground_truth), label=1.0, id="1")


def test_a_word_weighs_more_the_fewer_texts_have_it():
    overlap = WordOverlap.of(["the cat", "the dog", "the dog"])
    assert overlap.weights["the"] == pytest.approx(math.log(4 / 3.5))
    assert overlap.weights["cat"] == pytest.approx(math.log(4 / 1.5))
    assert overlap.unseen == pytest.approx(math.log(4 / 0.5))
    assert min(overlap.weights.values()) > 0


def test_a_share_is_weighted_and_counts_repeated_words():
    overlap = WordOverlap.of(["the cat", "the dog", "the dog"])
    the, cat = overlap.weights["the"], overlap.weights["cat"]
    assert overlap.share("The cat", "the dog") == pytest.approx(the / (the + cat))
    assert overlap.share("cat cat the", "CAT") == pytest.approx(2 * cat / (2 * cat + the))
    assert overlap.share("the cat", "the cat sleeps") == 1
    assert overlap.share("...", "the cat") == 0


def test_each_direction_asks_for_the_words_of_its_own_text():
    rows = [row("paris", "paris france"), row("paris rome", "rome")]
    metrics = word_overlaps(rows, lambda each: [each.interaction.ground_truth])
    assert metrics[OVERLAP](rows[0]) == 1 > metrics[REVERSE](rows[0])
    assert metrics[REVERSE](rows[1]) == 1 > metrics[OVERLAP](rows[1])


def test_the_best_alternative_counts_and_a_row_without_one_has_no_number():
    rows = [row("rome", "paris / rome"), row("rome", None), row(" ", "rome")]
    metrics = reference_metrics(rows, separator="/")
    assert metrics[OVERLAP](rows[0]) == metrics[REVERSE](rows[0]) == 1
    for name in (OVERLAP, REVERSE):
        assert math.isnan(metrics[name](rows[1]))
        assert math.isnan(metrics[name](rows[2]))
