from __future__ import annotations

import numpy as np
import pytest

from tipstaff_server.evaluator.calibration import calibrate
from tipstaff_trainer.evaluation.calibration import calibrated_loss, fit_platt


def drawn(slope: float, intercept: float, n: int = 20_000):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, n)
    probability = 1 / (1 + np.exp(-(slope * logits + intercept)))
    return logits, (generator.random(n) < probability).astype(float)


def test_finds_the_sigmoid_that_made_the_labels():
    found = fit_platt(*drawn(0.4, -0.7))
    assert found.slope == pytest.approx(0.4, abs=0.03)
    assert found.intercept == pytest.approx(-0.7, abs=0.05)
    assert (found.method, found.n) == ("platt", 20_000)


def test_soft_labels_are_fitted_as_probabilities():
    logits = np.linspace(-4, 4, 500)
    found = fit_platt(logits, 1 / (1 + np.exp(-0.5 * logits)))
    assert found.slope == pytest.approx(0.5, abs=0.02)


def test_perfectly_parted_rows_do_not_make_certain_scores():
    logits = np.array([-5.0] * 15 + [5.0] * 15)
    found = fit_platt(logits, (logits > 0).astype(float))
    assert 0.9 < calibrate(5.0, found) < 0.97


def test_logits_that_point_the_wrong_way_are_not_turned_round():
    logits = np.linspace(-3, 3, 60)
    assert fit_platt(logits, (logits < 0).astype(float)).slope > 0


@pytest.mark.parametrize("labels", [[1.0] * 40, [0.0] * 40, [1.0, 0.0] * 5])
def test_too_few_rows_or_one_class_leave_the_logit_as_it_is(labels):
    found = fit_platt(np.arange(len(labels), dtype=float), np.array(labels))
    assert (found.slope, found.intercept, found.method) == (1.0, 0.0, "none")


def test_overconfidence_does_not_count_in_the_calibrated_loss():
    logits, labels = drawn(1.0, 0.0)
    modest, loud = calibrated_loss(logits, labels), calibrated_loss(5 * logits, labels)
    assert loud == pytest.approx(modest, abs=1e-3)
    noise = np.random.default_rng(1).normal(0, 3, len(logits))
    assert calibrated_loss(logits + noise, labels) > modest + 0.01


def test_a_row_of_weight_two_counts_as_two_rows():
    logits, labels = drawn(0.8, 0.3, n=300)
    weights = np.where(np.arange(300) < 50, 2.0, 1.0)
    twice = np.repeat(np.arange(300), weights.astype(int))
    weighted, repeated = fit_platt(logits, labels, weights), fit_platt(logits[twice], labels[twice])
    # Only nearly equal: the targets' smoothing depends on the number of rows.
    assert weighted.slope == pytest.approx(repeated.slope, rel=0.01)
    assert weighted.intercept == pytest.approx(repeated.intercept, abs=0.01)
    assert weighted.slope != pytest.approx(fit_platt(logits, labels).slope, rel=0.01)
    assert calibrated_loss(logits, labels, weights) == pytest.approx(
        calibrated_loss(logits[twice], labels[twice]), rel=1e-3
    )
