from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tipstaff_trainer.report import intervals


def alone(n):
    return np.arange(n)


def test_wilsons_interval_of_independent_rows():
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    found = intervals.share(np.arange(263) < 81, alone(263))
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    none = intervals.share(np.zeros(20, dtype=bool), alone(20))
    assert (none.low, none.high) == pytest.approx((0, 0.1611), abs=1e-4)


def test_a_share_of_no_rows_is_not_defined():
    assert intervals.share(np.zeros(0, dtype=bool), alone(0)) is None


def test_copies_of_rows_in_one_group_make_no_interval_narrower():
    hits = np.arange(50) < 30
    plain = intervals.share(hits, alone(50))
    copied = intervals.share(np.repeat(hits, 5), np.repeat(alone(50), 5))
    assert copied.value == plain.value
    assert (copied.low, copied.high) == pytest.approx((plain.low, plain.high))
    assert intervals.share(np.repeat(hits, 5), alone(250)).low > copied.low


def test_where_nothing_varies_groups_are_counted():
    right = np.ones(40, dtype=bool)
    assert intervals.share(right, alone(40) // 4).low == pytest.approx(
        intervals.share(right[:10], alone(10)).low
    )


@pytest.fixture(scope="module")
def scored():
    random = np.random.default_rng(1)
    good = random.random(400) < 0.6
    # Rounded, so that there are ties.
    return good, np.round(random.normal(good * 1.2, 1), 1)


def test_an_auroc_is_scikit_learns_with_ties(scored):
    good, scores = scored
    found = intervals.auroc(good, scores, alone(400))
    assert found.value == pytest.approx(roc_auc_score(good, scores))
    assert found.low < found.value < found.high


def test_an_aurocs_interval_is_about_as_wide_as_delongs(scored):
    good, scores = scored
    found = intervals.auroc(good, scores, alone(400))
    # DeLong et al. 1988, the variance from the placement values.
    wins = (scores[good][:, None] > scores[~good]) + 0.5 * (scores[good][:, None] == scores[~good])
    variance = (
        wins.mean(axis=1).var(ddof=1) / good.sum() + wins.mean(axis=0).var(ddof=1) / (~good).sum()
    )
    assert found.high - found.low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.15)


def test_groups_widen_an_auroc(scored):
    good, scores = scored
    copied = intervals.auroc(np.repeat(good, 4), np.repeat(scores, 4), np.repeat(alone(400), 4))
    plain = intervals.auroc(good, scores, alone(400))
    assert (copied.low, copied.high) == pytest.approx((plain.low, plain.high), abs=1e-9)


def test_an_auroc_of_one_class_is_not_defined():
    assert intervals.auroc(np.ones(5, dtype=bool), np.arange(5.0), alone(5)) is None


def test_a_difference_of_aurocs_is_paired(scored):
    good, scores = scored
    same = intervals.auroc_difference(good, scores, scores, alone(400))
    assert (same.low, same.value, same.high) == (0, 0, 0)
    random = np.random.default_rng(2)
    worse = intervals.auroc_difference(good, scores, scores + random.normal(0, 2, 400), alone(400))
    assert worse.high < 0


def test_an_interval_can_be_made_again(scored):
    good, scores = scored
    assert intervals.auroc(good, scores, alone(400)) == intervals.auroc(good, scores, alone(400))
