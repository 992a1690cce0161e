from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from tipstaff_trainer.evaluation.metrics import classification_metrics, expected_calibration_error


def test_all_metrics_of_a_small_case_by_hand():
    labels = [1, 1, 0, 0]
    scores = [0.9, 0.4, 0.6, 0.1]
    found = classification_metrics(labels, scores)
    assert found["n"] == 4
    for name in ("accuracy", "balanced_accuracy", "precision", "recall", "f1"):
        assert found[name] == 0.5, name
    assert found["roc_auc"] == 0.75
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    expected = -(math.log(0.9) + math.log(0.4) + math.log(0.4) + math.log(0.9)) / 4
    assert found["log_loss"] == pytest.approx(expected)


def test_decisions_and_ranks_take_soft_labels_for_good_from_one_half_on():
    hard = classification_metrics([1, 1, 0], [0.7, 0.2, 0.6])
    soft = classification_metrics([0.5, 0.9, 0.49], [0.7, 0.2, 0.6])
    assert {name for name in hard if soft[name] != hard[name]} == {"log_loss", "brier", "ece"}


def test_probabilities_are_held_against_soft_labels_as_they_are():
    scores = np.random.default_rng(0).uniform(0.05, 0.95, 500)
    agreed = classification_metrics(scores, scores)
    assert agreed["brier"] == 0
    assert agreed["ece"] == pytest.approx(0, abs=1e-12)
    # The remaining cross entropy is the entropy of the labels.
    entropy = -(scores * np.log(scores) + (1 - scores) * np.log(1 - scores)).mean()
    assert agreed["log_loss"] == pytest.approx(entropy)
    off = classification_metrics([0.7, 0.7, 0.2, 0.2], [0.8, 0.8, 0.1, 0.1])
    assert off["brier"] == pytest.approx(0.01)
    assert off["ece"] == pytest.approx(0.1)


def test_hard_labels_are_measured_as_classes_are():
    random = np.random.default_rng(1)
    scores = np.r_[random.random(500), 0.0, 1.0, 0.5]
    good = random.random(503) < scores
    found = classification_metrics(good.astype(float), scores)
    assert found == classification_metrics(good, scores)
    clipped = np.clip(scores, 1e-15, 1 - 1e-15)
    assert found["log_loss"] == pytest.approx(log_loss(good, clipped), rel=1e-12)
    assert found["brier"] == pytest.approx(brier_score_loss(good, scores), rel=1e-12)
    # Counts the good rows in fifteen bins.
    edges = np.linspace(0, 1, 16)
    inside = np.histogram(scores, edges)[0]
    off = np.histogram(scores, edges, weights=scores)[0] - np.histogram(scores[good], edges)[0]
    assert inside.all()
    assert found["ece"] == pytest.approx(np.abs(off).sum() / 503, rel=1e-12)


def test_a_score_of_one_half_is_a_pass():
    assert classification_metrics([1, 0], [0.5, 0.49])["accuracy"] == 1.0


def test_what_one_class_leaves_undefined_is_none():
    found = classification_metrics([1, 1, 1], [0.9, 0.8, 0.1])
    assert found["roc_auc"] is None
    assert found["pr_auc"] is None
    assert found["balanced_accuracy"] is None
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_nothing_passed_leaves_precision_undefined():
    assert classification_metrics([1, 0], [0.1, 0.2])["precision"] is None


def test_a_certain_and_wrong_score_keeps_the_log_loss_finite():
    assert math.isfinite(classification_metrics([1, 0], [0.0, 1.0])["log_loss"])


def test_calibration_error_uses_fifteen_equal_bins():
    # A good and a bad row in one bin of width 1/15: mean score 0.51, share of good rows 0.5.
    truth, scores = np.array([True, False]), np.array([0.5, 0.52])
    assert expected_calibration_error(truth, scores) == pytest.approx(0.01)
    # In two bins, each has its own error.
    apart = expected_calibration_error(truth, np.array([0.5, 0.56]))
    assert apart == pytest.approx(0.5 * 0.5 + 0.5 * 0.56)


def test_a_score_of_one_falls_into_the_last_bin():
    assert expected_calibration_error(np.array([True]), np.array([1.0])) == 0.0
