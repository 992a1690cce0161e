"""A logistic regression on rows whose labels are probabilities."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tipstaff_trainer.evaluation.base import Floats


def fit_logistic(
    features: Floats, labels: Floats, weights: Floats, inverse_penalty: float
) -> tuple[Floats, float]:
    """Fits coefficients and a bias to features, which it standardises.

    Args:
        features: Shape (rows, n).
        labels: Probabilities in [0, 1], not all 0 and not all 1; shape (rows,).
        weights: How much each row counts, shape (rows,).
        inverse_penalty: The inverse strength of the ridge penalty on standardised coefficients.

    Returns:
        The coefficients, shape (n,), and the bias.
    """
    scaler = StandardScaler().fit(features)
    # A soft label is a good row and a bad one, weighted.
    fit = LogisticRegression(C=inverse_penalty, max_iter=1000).fit(
        np.tile(scaler.transform(features), (2, 1)),
        np.repeat([1, 0], len(labels)),
        np.concatenate([labels, 1 - labels]) * np.tile(weights / weights.mean(), 2),
    )
    coefficients = fit.coef_[0] / scaler.scale_
    return coefficients, float(fit.intercept_[0] - scaler.mean_ @ coefficients)
