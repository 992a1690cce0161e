"""Metrics of a binary evaluator.

A score of at least 0.5 decides for good, and a soft label of at least 0.5 counts as good; log loss
(cross entropy), Brier score and ECE use labels as probabilities.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from tipstaff_trainer.evaluation.base import Floats, Metrics

_ECE_BINS = 15
# Log loss is infinite if a score of 0 or 1 is wrong; scikit-learn clips in the same way.
_EPSILON = 1e-15


def classification_metrics(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Metrics:
    """All metrics that `tipstaff evaluate` prints.

    Args:
        labels: Probabilities in [0, 1], shape (n,).
        scores: Probabilities in [0, 1], shape (n,).

    Returns:
        n, accuracy, balanced_accuracy, precision, recall, f1, roc_auc, pr_auc, log_loss, brier and
        ece, each in [0, 1] but n and log_loss; None where undefined, as the AUROC of one class.
    """
    shares = np.asarray(labels, dtype=float)
    truth = shares >= 0.5
    probability = np.asarray(scores, dtype=float)
    decision = probability >= 0.5
    both_classes = 0 < truth.sum() < len(truth)
    values: dict[str, float | None] = {
        "accuracy": metrics.accuracy_score(truth, decision),
        "balanced_accuracy": (
            metrics.balanced_accuracy_score(truth, decision) if both_classes else None
        ),
        "precision": metrics.precision_score(truth, decision, zero_division=np.nan),
        "recall": metrics.recall_score(truth, decision, zero_division=np.nan),
        "f1": metrics.f1_score(truth, decision, zero_division=np.nan),
        "roc_auc": metrics.roc_auc_score(truth, probability) if both_classes else None,
        "pr_auc": (
            # With good rows only it would be 1 for any score.
            metrics.average_precision_score(truth, probability) if both_classes else None
        ),
        "log_loss": _log_loss(shares, probability),
        "brier": float(np.mean((probability - shares) ** 2)),
        "ece": expected_calibration_error(shares, probability),
    }
    defined = {
        name: None if value is None or math.isnan(value) else float(value)
        for name, value in values.items()
    }
    return {"n": len(truth), **defined}


def expected_calibration_error(labels: Floats, scores: Floats) -> float:
    """The mean distance between score and share of good, over 15 equal-width bins of the score.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning".

    Args:
        labels: Probabilities in [0, 1], shape (n,).
        scores: Likewise.
    """
    bins = np.minimum((scores * _ECE_BINS).astype(int), _ECE_BINS - 1)
    error = 0.0
    for index in np.unique(bins):
        inside = bins == index
        error += inside.mean() * abs(scores[inside].mean() - labels[inside].mean())
    return float(error)


def _log_loss(labels: Floats, scores: Floats) -> float:
    clipped = np.clip(scores, _EPSILON, 1 - _EPSILON)
    return float(-np.mean(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped)))
