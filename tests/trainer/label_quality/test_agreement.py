from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tipstaff_trainer.label_quality.agreement import measure_agreement


def pair(count, flips, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.random(count) < 0.6
    return np.where(generator.random(count) < flips, ~truth, truth).astype(float), truth.astype(
        float
    )


def test_kappa_is_cohens():
    judge, people = pair(400, 0.15)
    found = measure_agreement(judge, people)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(judge, people))
    assert found.kappa.low < found.kappa.value < found.kappa.high
    assert found.agreed.value == pytest.approx((judge == people).mean())


def test_confusion_by_direction():
    judge, people = [1, 1, 1, 0, 0.6, 0.2], [1, 0, 0, 0, 1, 1]
    found = measure_agreement(judge, people)
    assert (found.both_good, found.both_bad, found.judge_only, found.other_only) == (2, 1, 2, 1)
    assert found.false_pass.value == pytest.approx(2 / 3)
    assert found.false_block.value == pytest.approx(1 / 3)


def test_intervals_hold_what_they_promise():
    """Most intervals of small samples contain the kappa of a very large sample."""
    truth = measure_agreement(*pair(200_000, 0.2, seed=99)).kappa.value
    found = [measure_agreement(*pair(150, 0.2, seed=seed)).kappa for seed in range(40)]
    assert sum(each.low <= truth <= each.high for each in found) >= 34


def test_rows_of_one_group_count_as_one():
    judge, people = pair(100, 0.2)
    alone = measure_agreement(judge, people).kappa
    copied = measure_agreement(
        np.repeat(judge, 9), np.repeat(people, 9), np.repeat(np.arange(100), 9)
    ).kappa
    naive = measure_agreement(np.repeat(judge, 9), np.repeat(people, 9)).kappa
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert naive.high - naive.low < 0.5 * (copied.high - copied.low)


def test_what_was_never_seen_may_happen_yet():
    judge, people = [1] * 20 + [0] * 10, [1] * 20 + [0] * 10
    found = measure_agreement(judge, people)
    assert (found.false_pass.value, found.false_pass.low) == (0, 0)
    assert found.false_pass.high == pytest.approx(0.308, abs=0.001)
    assert found.agreed.low == pytest.approx(0.884, abs=0.001)
    # Full agreement on thirty rows doesn't prove it for all rows.
    assert (found.kappa.value, found.kappa.high) == (1, 1)
    assert found.kappa.low == pytest.approx((0.884 - 5 / 9) / (1 - 5 / 9), abs=0.003)
    # Ten rows of one group count as one.
    alike = measure_agreement(judge, people, [*range(20), *["same"] * 10])
    assert alike.false_pass.high == pytest.approx(0.975)


def test_one_group_shows_no_variation():
    found = measure_agreement([1, 1, 0, 0], [1, 0, 0, 0], ["same"] * 4)
    assert (found.kappa.value, found.agreed.value) == (0.5, 0.75)
    assert math.isnan(found.kappa.low)
    assert math.isnan(found.agreed.high)


def test_what_is_not_defined_says_so():
    found = measure_agreement([1, 1], [1, 1])
    assert math.isnan(found.kappa.value)
    assert math.isnan(found.false_pass.value)
    assert found.false_block.value == 0
    with pytest.raises(ValueError, match="no row"):
        measure_agreement([], [])
