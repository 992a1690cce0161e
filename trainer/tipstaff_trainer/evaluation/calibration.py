"""Fits the slope and intercept that turn logits into probabilities.

Platt 1999, "Probabilistic outputs for support vector machines", section 2.2: the log loss is
minimised against targets moved in from 0 and 1, the more the fewer rows there are, so that a
handful of rows can't claim certainty. For the same reason Gaussian priors on the logarithm of the
slope and on the intercept hold these near 1 and 0, the values that training ends with.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from tipstaff_server.evaluator.manifest import Calibration
from tipstaff_trainer.evaluation.base import Floats

_FEWEST_ROWS = 20
# A slope of zero would ignore the logit; a negative one would reverse it.
_SMALLEST_SLOPE = 0.05
# Standard deviations of the priors.
_LOG_SLOPE_PRIOR = 0.5
_INTERCEPT_PRIOR = 0.3


def fit_platt(logits: Floats, labels: Floats, weights: Floats | None = None) -> Calibration:
    """Fits Platt scaling; the identity on too few rows, or on rows of one class.

    Args:
        logits: The graph's, shape (n,).
        labels: Probabilities in [0, 1], shape (n,).
        weights: How much each row counts, positive, shape (n,); None for equal weights.
    """
    shares = _shares(weights, len(labels))
    good, bad = shares @ labels, shares @ (1 - labels)
    if len(labels) < _FEWEST_ROWS or min(good, bad) < 1:
        return Calibration()
    targets = labels * (good + 1) / (good + 2) + (1 - labels) / (bad + 2)

    def loss(parameters: Floats) -> float:
        slope, intercept = parameters
        prior = (np.log(slope) / _LOG_SLOPE_PRIOR) ** 2 + (intercept / _INTERCEPT_PRIOR) ** 2
        fit = _log_loss(slope * logits + intercept, targets, shares)
        return fit + float(prior) / (2 * len(labels))

    bounds = [(_SMALLEST_SLOPE, None), (None, None)]
    slope, intercept = minimize(loss, x0=[1.0, 0.0], method="L-BFGS-B", bounds=bounds).x.tolist()
    return Calibration(slope=slope, intercept=intercept, method="platt", n=len(labels))


def calibrated_loss(logits: Floats, labels: Floats, weights: Floats | None = None) -> float:
    """Log loss against soft labels once the logits are calibrated on the same rows.

    Measures a model that will be calibrated: overconfidence, which calibration removes, doesn't
    count against it.

    Args:
        logits: Shape (n,).
        labels: Probabilities in [0, 1], shape (n,).
        weights: How much each row counts, positive, shape (n,); None for equal weights.
    """
    fit = fit_platt(logits, labels, weights)
    return _log_loss(fit.slope * logits + fit.intercept, labels, _shares(weights, len(labels)))


def _shares(weights: Floats | None, rows: int) -> Floats:
    """The weights scaled to a mean of 1, so that they add up to a number of rows."""
    return np.ones(rows) if weights is None else weights / weights.mean()


def _log_loss(logits: Floats, targets: Floats, shares: Floats) -> float:
    return float(np.mean(shares * (np.logaddexp(0, logits) - targets * logits)))
