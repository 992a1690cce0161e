from __future__ import annotations

import numpy as np
import pytest

from tipstaff.types import Interaction, Verdict
from tipstaff_server.evaluator import Prediction
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.risk_coverage import (
    risk_coverage,
    risk_coverage_curves,
    uncertainty,
)
from tipstaff_trainer.evaluation.scored import ScoredRows


def test_the_curve_by_hand():
    found = risk_coverage([False, True, False, True], [0.1, 0.9, 0.2, 0.5])
    assert found.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert found.risk == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert found.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4) == found.best_area
    assert [found.risk_at(share) for share in (0.3, 0.5, 1)] == [0, 0, 0.5]


def test_rows_of_equal_doubt_are_one_step_whatever_their_order():
    found = risk_coverage([True, False, False, False], [1, 1, 1, 1])
    assert (found.coverage.tolist(), found.risk.tolist()) == ([1], [0.25])
    assert found.area == 0.25


def test_doubt_that_says_nothing_is_no_better_than_the_mean_risk():
    generator = np.random.default_rng(0)
    wrong = generator.random(4000) < 0.1
    blind = risk_coverage(wrong, generator.random(4000))
    telling = risk_coverage(wrong, wrong + generator.random(4000))
    assert blind.area == pytest.approx(wrong.mean(), abs=0.02)
    assert telling.best_area <= telling.area < 0.5 * blind.area
    assert telling.risk[-1] == blind.risk[-1] == wrong.mean()


def test_uncertainty_is_highest_at_one_half():
    assert uncertainty([0.0, 0.25, 0.5, 1.0]).tolist() == [0, 0.5, 1, 0]


@pytest.mark.parametrize("tells", [True, False])
def test_a_report_sets_aside_first_what_is_unlike_where_the_evaluator_tells(tells):
    """Ten confident right predictions, and ten confident wrong ones on out-of-distribution rows."""
    rows = [Row(Interaction(output="a"), float(index < 10), str(index)) for index in range(20)]
    predictions = [
        Prediction(
            score=0.9,
            verdict=Verdict.PASS,
            reasons=(),
            logit=2.0,
            embedding=np.zeros(1, dtype=np.float32),
            ood_score=(0.5 if index < 10 else 1.5) if tells else None,
        )
        for index in range(20)
    ]
    found = risk_coverage_curves(ScoredRows.of(rows, predictions, [1] * 20))
    assert len(found) == 1 + tells
    assert set(found[0].y) == {0.5}
    if tells:
        at = dict(zip(found[1].x, found[1].y, strict=True))
        assert (at[0.3], at[0.5], at[1.0]) == (0, 0, 0.5)
