"""Finds the slope and intercept that turn logits into probabilities.

Platt 1999, "Probabilistic outputs for support vector machines", section 2.2: the log loss is
minimised against targets drawn in from 0 and 1 by how many rows there are, so that a handful of
rows can't claim certainty.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from tipstaff_server.evaluator.manifest import Calibration

_FEWEST_ROWS = 20
# A slope of zero would forget the logit; a negative one would turn it round.
_SMALLEST_SLOPE = 0.05


def fit_platt(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.float64]) -> Calibration:
    """Fits Platt scaling; none on too few rows, or on rows of one class.

    Args:
        logits: As the graph gave them, shape (n,).
        labels: Probabilities in [0, 1], shape (n,).
    """
    good, bad = labels.sum(), (1 - labels).sum()
    if len(labels) < _FEWEST_ROWS or min(good, bad) < 1:
        return Calibration()
    targets = labels * (good + 1) / (good + 2) + (1 - labels) / (bad + 2)

    found = minimize(
        lambda parameters: _log_loss(parameters[0] * logits + parameters[1], targets),
        x0=[1.0, 0.0],
        method="L-BFGS-B",
        bounds=[(_SMALLEST_SLOPE, None), (None, None)],
    )
    slope, intercept = found.x
    return Calibration(
        slope=float(slope), intercept=float(intercept), method="platt", n=len(labels)
    )


def calibrated_loss(logits: npt.NDArray[np.float64], labels: npt.NDArray[np.float64]) -> float:
    """Log loss against soft labels once the logits are calibrated on the same rows.

    What a model is worth that will be calibrated: overconfidence, which calibration takes away,
    doesn't count against it.

    Args:
        logits: Shape (n,).
        labels: Probabilities in [0, 1], shape (n,).
    """
    found = fit_platt(logits, labels)
    return _log_loss(found.slope * logits + found.intercept, labels)


def _log_loss(logits: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]) -> float:
    return float(np.mean(np.logaddexp(0, logits) - targets * logits))
