from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tipstaff_trainer.certification.sweep import (
    laxest_block,
    laxest_pass,
    rows_needed,
    upper_bound,
)


def test_the_bound_is_clopper_and_pearsons():
    for errors in (0, 1, 7, 58, 59):
        # A two-sided 90 % interval leaves 5 % on each side.
        interval = binomtest(errors, 59).proportion_ci(0.9, method="exact")
        assert upper_bound(errors, 59, 0.95) == pytest.approx(interval.high)


@pytest.mark.parametrize(
    ("bound", "confidence", "needed"), [(0.05, 0.95, 59), (0.01, 0.95, 299), (0.1, 0.99, 44)]
)
def test_how_many_rows_without_an_error_a_bound_takes(bound, confidence, needed):
    assert rows_needed(bound, confidence) == needed
    assert upper_bound(0, needed, confidence) <= bound < upper_bound(0, needed - 1, confidence)


def test_the_cut_lies_just_above_the_first_error_that_is_too_many():
    scores = np.concatenate([[0.97, 0.9, 0.8], np.full(97, 0.1)])
    # One error in 100 proves a rate under 5 %, two don't.
    found = laxest_pass(scores, bound=0.05, confidence=0.95)
    assert 0.9 < found.at < 0.91
    assert (found.errors, found.n) == (1, 100)
    assert found.upper == pytest.approx(upper_bound(1, 100, 0.95))


def test_block_mirrors_pass():
    generator = np.random.default_rng(0)
    bad = generator.beta(1, 4, 200)
    passing = laxest_pass(bad, bound=0.1, confidence=0.9)
    blocking = laxest_block(1 - bad, bound=0.1, confidence=0.9)
    assert blocking.at == pytest.approx(1 - passing.at)
    assert blocking.errors == passing.errors


def test_rows_that_can_not_pass_are_no_errors():
    scores = np.full(100, -np.inf)
    assert laxest_pass(scores, bound=0.05, confidence=0.95).errors == 0


def test_no_cut_where_the_surest_scores_are_wrong():
    assert laxest_pass(np.ones(100), bound=0.05, confidence=0.95) is None
    assert laxest_block(np.zeros(100), bound=0.05, confidence=0.95) is None


@pytest.mark.parametrize("n", [60, 300])
def test_the_promise_is_broken_no_more_often_than_it_may(n):
    """Bad rows have uniform scores, so a threshold's true error rate is 1 minus the threshold."""
    generator = np.random.default_rng(1)
    draws = 1000
    cuts = [laxest_pass(generator.random(n), bound=0.1, confidence=0.9) for _ in range(draws)]
    broken = np.mean([1 - found.at > 0.1 for found in cuts])
    assert broken <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / draws)
    # Nor far less often: the bound must not be stricter than an exact one.
    assert broken > 0.03
