"""Intervals hold the truth as often as they say, and are withheld where they would not."""

from __future__ import annotations

import numpy as np
import pytest

from tipstaff_trainer.monitoring.estimates import Totals, estimate_rate
from tipstaff_trainer.monitoring.reviews import (
    DrawnReview,
    KeptRow,
    PickedReview,
    Sample,
    drawn_reviews,
)

RUNS = 400
# 95 % less two Monte Carlo errors of 400 runs.
LEAST = 0.95 - 2 * (0.95 * 0.05 / RUNS) ** 0.5


def traffic(generator, count, drift):
    """Expected and true badness: with drift, the scores know too little."""
    z = generator.normal(-2.5, 2, count)
    expected = 1 / (1 + np.exp(-z))
    bad = (generator.random(count) < 1 / (1 + np.exp(-(z + drift)))).astype(float)
    return expected, bad


@pytest.mark.parametrize(("drift", "verdict"), [(0.0, None), (1.0, "PASS")])
def test_intervals_hold_the_truth(verdict, drift):
    generator = np.random.default_rng(5)
    expected, bad = traffic(generator, 8000, drift)
    verdicts = np.where(expected < 0.3, "PASS", "BLOCK")
    rates = np.where(expected < 0.1, 0.05, 0.2)
    chosen = np.ones(len(bad), bool) if verdict is None else verdicts == verdict
    truth, totals = bad[chosen].mean(), Totals(int(chosen.sum()), float(expected[chosen].sum()))
    held = []
    for _ in range(RUNS):
        draws = generator.random(len(bad))
        kept = np.flatnonzero(draws < rates)
        first = kept[np.argsort(draws[kept] / rates[kept])][:151]
        rows = [
            KeptRow(
                period=0,
                probability=float(rates[i]),
                rank=float(draws[i] / rates[i]),
                bad=bad[i] if place < 150 else None,
                expected=expected[i],
                verdict=str(verdicts[i]),
                waiting=place == 150,
            )
            for place, i in enumerate(first)
        ]
        drawn = [
            each for each in drawn_reviews(rows).drawn if verdict is None or each.verdict == verdict
        ]
        estimate = estimate_rate(totals, drawn)
        held.append(estimate.low <= truth <= estimate.high)
    assert np.mean(held) >= LEAST


def test_what_was_picked_has_no_probability_and_is_in_no_estimate():
    rows = [
        KeptRow(0, 0.5, 0.1, bad=1.0, expected=0.2, verdict="PASS"),
        KeptRow(0, 0.5, 0.2, bad=None, expected=0.2, verdict="PASS", waiting=True),
        KeptRow(0, 0.5, 0.9, bad=1.0, expected=0.2, verdict="PASS"),
    ]
    sample = drawn_reviews(rows)
    # Of the kept rows a fifth was looked at, so the first had half of a fifth.
    assert [each.probability for each in sample.drawn] == [pytest.approx(0.1)]
    assert len(sample.picked) == 1
    assert not hasattr(PickedReview(1.0, 0.2, "PASS"), "probability")
    with pytest.raises(ValueError, match="probability"):
        DrawnReview(1.0, 0.2, 0.0, "PASS")


def test_a_part_of_a_sample_has_its_own_rows_of_each_kind():
    rows = [
        KeptRow(0, 1.0, 0.1, 0.0, 0.2, "PASS", version=1, caller="a"),
        KeptRow(0, 1.0, 0.2, None, 0.2, "PASS", version=1, caller="b"),
        KeptRow(0, 1.0, 0.3, None, 0.2, "BLOCK", version=2, caller="a"),
        KeptRow(1, 1.0, 0.1, 1.0, 0.2, "BLOCK", version=2, caller="b"),
        KeptRow(1, 1.0, 0.2, None, 0.2, "PASS", version=2, caller="b", waiting=True),
        KeptRow(1, 1.0, 0.3, 1.0, 0.2, "PASS", version=2, caller="b"),
    ]
    sample = drawn_reviews(rows)

    def counts(**part):
        narrowed = sample.where(**part)
        return tuple(len(each) for each in (narrowed.drawn, narrowed.unanswered, narrowed.picked))

    assert counts() == (2, 2, 1)
    assert counts(version=1) == (1, 1, 0)
    assert counts(version=2) == (1, 1, 1)
    assert counts(caller="b") == (1, 1, 1)
    assert counts(verdicts=("BLOCK",)) == (1, 1, 0)
    parts = sample.split({0: 7, 2: 8})
    assert parts == {7: Sample(sample.drawn[:1], (), sample.unanswered, frozenset({0}))}
    assert sample.split({0: 7, 1: 7}) == {7: sample}


def review(bad=0.0):
    return DrawnReview(bad, 0.1, 0.5, "PASS")


@pytest.mark.parametrize(
    ("totals", "reviews", "unanswered", "why"),
    [
        (Totals(1000, 100.0), [review()] * 29, 0, "29 drawn rows"),
        (Totals(1000, 100.0, drawn=100, dropped=6), [review()] * 50, 0, "6% of the drawn"),
        (Totals(1000, 100.0), [review()] * 50, 10, "without a label"),
        (Totals(40, 4.0), [review()] * 50, 0, "counts are missing"),
    ],
)
def test_an_interval_is_withheld_where_it_would_not_hold(totals, reviews, unanswered, why):
    estimate = estimate_rate(totals, reviews, unanswered=unanswered)
    assert estimate.value is None
    assert why in estimate.withheld
    assert estimate.expected == pytest.approx(0.1)


def test_no_bad_row_among_the_reviewed_still_leaves_room_above_zero():
    estimate = estimate_rate(Totals(1000, 100.0), [review()] * 60)
    assert estimate.low == 0
    assert 0.03 < estimate.high < 0.1
