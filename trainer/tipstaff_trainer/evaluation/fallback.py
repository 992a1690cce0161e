"""Fits what words say of interactions unlike the training data; see `evaluator.fallback`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.fallback import share_of_words
from tipstaff_server.evaluator.manifest import Fallback
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.regression import fit_logistic

# With one number and some dozens of rows a penalty hardly matters.
_INVERSE_PENALTY = 1.0


def fit_fallback(rows: Sequence[Row], encoded: Sequence[Encoded]) -> Fallback | None:
    """Fits the regression on training rows, those rewritten among them.

    Args:
        rows: The rows.
        encoded: The same rows encoded.

    Returns:
        None where the evaluator takes no lexical evidence, or all rows are of one class.
    """
    labels = np.array([row.label for row in rows], dtype=float)
    weights = np.array([row.weight for row in rows], dtype=float)
    measured = any(tokens.evidence.any() for one in encoded for tokens in one.runs)
    good = float(np.average(labels, weights=weights))
    if not measured or not 0 < good < 1:
        return None
    shares = np.array([[share_of_words(one)] for one in encoded])
    (slope,), intercept = fit_logistic(shares, labels, weights, _INVERSE_PENALTY)
    if slope <= 0:
        # Shared words never count against an output: these rows say nothing by their words.
        return Fallback(slope=0.0, intercept=math.log(good / (1 - good)))
    return Fallback(slope=float(slope), intercept=intercept)
