"""Fits what words say of interactions unlike the training data; see `evaluator.fallback`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.fallback import is_comparable, share_of_words
from tipstaff_server.evaluator.manifest import Fallback
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.regression import fit_logistic

# With one number and some dozens of rows a penalty hardly matters.
_INVERSE_PENALTY = 1.0
_FEWEST_ROWS = 20


def fit_fallback(rows: Sequence[Row], encoded: Sequence[Encoded]) -> Fallback | None:
    """Fits the regression on training rows, those rewritten among them.

    Args:
        rows: The rows.
        encoded: The same rows encoded.

    Returns:
        None where the evaluator takes no lexical evidence, or where under 20 rows have both output
        and ground truth, or these rows are of one class.
    """
    compared = [
        (row, one)
        for row, one in zip(rows, encoded, strict=True)
        if is_comparable(one) and any(tokens.evidence.any() for tokens in one.runs)
    ]
    if len(compared) < _FEWEST_ROWS:
        return None
    labels = np.array([row.label for row, _ in compared], dtype=float)
    weights = np.array([row.weight for row, _ in compared], dtype=float)
    good = float(np.average(labels, weights=weights))
    if not 0 < good < 1:
        return None
    shares = np.array([[share_of_words(one)] for _, one in compared])
    (slope,), intercept = fit_logistic(shares, labels, weights, _INVERSE_PENALTY)
    if slope <= 0:
        # Shared words never count against an output: these rows say nothing by their words.
        return Fallback(slope=0.0, intercept=math.log(good / (1 - good)))
    return Fallback(slope=float(slope), intercept=intercept)
