"""From a logit to a probability.

Platt scaling (Platt 1999, "Probabilistic outputs for support vector machines"): a sigmoid with a
slope and an intercept, fitted on rows that the weights were not fitted to.
"""

from __future__ import annotations

import math

from tipstaff_server.evaluator.manifest import Calibration


def calibrate(logit: float, calibration: Calibration) -> float:
    """The calibrated probability in [0, 1] that the output meets the criterion."""
    return probability(log_odds(logit, calibration))


def log_odds(logit: float, calibration: Calibration) -> float:
    """The calibrated log-odds."""
    return calibration.slope * logit + calibration.intercept


def probability(z: float) -> float:
    """The probability in [0, 1] with log-odds `z`."""
    # Two forms of the same number: each is used where its exponential can't overflow.
    if z >= 0:
        return 1.0 / (1.0 + math.exp(-z))
    power = math.exp(z)
    return power / (1.0 + power)
