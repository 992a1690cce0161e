from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tipstaff_trainer.evaluation import intervals


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


def test_one_group_is_one_observation():
    hits = np.arange(60) < 56
    found = intervals.share(hits, np.zeros(60, dtype=int))
    assert (found.value, found.n) == (56 / 60, 60)
    assert found.high - found.low > 0.7
    scores = np.linspace(0, 1, 60)
    area = intervals.auroc(~hits, scores, np.zeros(60, dtype=int))
    assert (area.low, area.high) == (0, 1)
    difference = intervals.auroc_difference(~hits, scores, -scores, np.zeros(60, dtype=int))
    assert (difference.value, difference.low, difference.high) == (-1, -1, 1)


@pytest.mark.parametrize("count", [2, 3])
def test_a_share_of_few_groups_keeps_its_level(count):
    # In each group, nearly all rows are hits or nearly none.
    random = np.random.default_rng(count)
    groups = np.repeat(np.arange(count), 30)
    kept = 0
    for _ in range(200):
        rates = random.beta(0.7, 0.7, count)
        found = intervals.share(random.random(len(groups)) < rates[groups], groups)
        kept += found.low <= 0.5 <= found.high
    assert kept >= 180


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


def test_rows_that_are_told_apart_without_an_error_are_no_proof_that_all_are():
    # Newcombe's method 5: with one pair it is Wilson's interval for 1 of 1.
    pair = 1 - intervals._highest(0, 1, 1)
    assert pair == pytest.approx(1 / (1 + 1.959964**2), abs=1e-6)
    good = np.arange(20) < 10
    apart = intervals.auroc(good, good.astype(float), alone(20))
    assert (apart.value, apart.high) == (1, 1)
    assert apart.low == pytest.approx(0.800, abs=1e-3)
    wrong = intervals.auroc(good, 1 - good.astype(float), alone(20))
    assert (wrong.low, wrong.high) == pytest.approx((0, 1 - apart.low))
    # Five copies of each row add no information.
    copied = intervals.auroc(np.repeat(good, 5), np.repeat(good, 5), np.repeat(alone(20), 5))
    assert copied.low == apart.low


def test_an_auroc_of_few_rows_keeps_its_level():
    random = np.random.default_rng(3)
    good = np.arange(12) < 6
    kept = 0
    for _ in range(100):
        found = intervals.auroc(good, random.normal(good * 2.5, 1), alone(12))
        kept += found.low <= 0.9615 <= found.high  # the normal distribution at 2.5 / √2
    assert kept >= 90


@pytest.mark.parametrize(
    ("goods", "bads", "distance", "area"),
    [(95, 5, 1.8124, 0.9), (95, 5, 2.3262, 0.95), (38, 2, 1.8124, 0.9), (16, 24, 2.6598, 0.97)],
)
def test_an_auroc_with_few_rows_of_a_class_keeps_its_level(goods, bads, distance, area):
    # Two normal distributions at a distance of √2 times the normal quantile of the area.
    random, good = np.random.default_rng(0), np.arange(goods + bads) < goods
    kept = 0
    for _ in range(300):
        found = intervals.auroc(good, random.normal(good * distance, 1), alone(len(good)))
        kept += found.low <= area <= found.high
    assert kept >= 278  # 285 minus two standard errors


def test_an_auroc_of_rows_alike_in_their_groups_keeps_its_level():
    random, groups = np.random.default_rng(0), np.repeat(alone(30), 6)
    kept = 0
    for _ in range(300):
        good = np.where(random.random(180) < 0.9, (random.random(30) < 0.7)[groups], False)
        scores = good * 2.3262 + random.normal(0, 0.5**0.5, 30)[groups]
        found = intervals.auroc(good, scores + random.normal(0, 0.5**0.5, 180), groups)
        kept += found.low <= 0.95 <= found.high
    assert kept >= 278


@pytest.mark.parametrize("bads", [1, 2, 4])
def test_an_auroc_keeps_its_level_where_one_class_is_in_few_groups(bads):
    # Rows of one group share a part of their scores; more rows don't average it out.
    random, groups = np.random.default_rng(0), np.r_[alone(50), 50 + np.repeat(alone(bads), 15)]
    good = groups < 50
    kept = 0
    for _ in range(300):
        shared = random.normal(0, 0.5**0.5, 50 + bads)[groups]
        scores = good * 1.8124 + shared + random.normal(0, 0.5**0.5, len(good))
        found = intervals.auroc(good, scores, groups)
        kept += found.low <= 0.9 <= found.high
    assert kept >= 278


def test_an_auroc_that_misses_one_pair_of_very_many():
    good, scores = np.arange(20_000) >= 10_000, np.arange(20_000.0)
    scores[[9_999, 10_000]] = scores[[10_000, 9_999]]
    for groups in (alone(20_000), alone(20_000) % 3):
        found = intervals.auroc(good, scores, groups)
        assert 0.99 < found.low < found.value < found.high <= 1
        wrong = intervals.auroc(~good, scores, groups)
        assert (wrong.low, wrong.high) == pytest.approx((1 - found.high, 1 - found.low))


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
