"""The certification benchmark on synthetic rows whose true error rates are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from certification import Pool, measure

from tipstaff_trainer.certification.promise import Promise


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Groups of one to four rows, scores that overlap by class, and a judge that errs."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 5, 400)
    good = generator.random(sizes.sum()) < 0.6
    scores = 1 / (1 + np.exp(-generator.normal(np.where(good, 1, -1), 1.0)))
    return Pool(
        passing=scores,
        scores=scores,
        good=good,
        judge_good=good ^ (generator.random(len(good)) < 0.2),
        starts=np.cumsum(sizes) - sizes,
        sizes=sizes,
    )


def test_the_truth_is_the_rate_at_which_rows_are_drawn(pool):
    drawn = pool.draw(200_000, np.random.default_rng(1))
    bad = ~pool.good[drawn]
    assert pool.false_pass(0.7) == pytest.approx((pool.passing[drawn][bad] >= 0.7).mean(), abs=0.01)
    blocked = (pool.scores[drawn][~bad] < 0.3).mean()
    assert pool.false_block(0.3) == pytest.approx(blocked, abs=0.01)


def test_certificates_hold_where_usual_practice_does_not(pool, capsys):
    measure(pool, Promise(0.1, 0.1, 0.9), rows=300, draws=200, seed=0)
    found = {line["method"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    certified = found["certified"]
    assert certified["false_pass_broken"] <= certified["allowed"]
    assert certified["false_block_broken"] <= certified["allowed"]
    assert 0.3 < found["set's own rate"]["false_pass_broken"] < 0.7
    assert found["best F1"]["false_pass_broken"] == 1
    # A fifth of the judge's labels are wrong: good rows count as bad, so thresholds are too strict.
    assert (
        found["certified on the judge's labels"]["good_passed_mean"] < certified["good_passed_mean"]
    )
