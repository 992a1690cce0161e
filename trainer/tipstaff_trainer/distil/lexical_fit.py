"""What shared words, numbers and names say by themselves: regressions on lexical evidence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import COVERAGE, FOUND, MISSING, NAMES
from tipstaff_server.evaluator.windows import deciding_run_index
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.base import Floats

# The inverse strength of the ridge penalty, without products and with them. Without, it was chosen
# in folds of rows of several data sets; a tenth or ten times of it made no difference.
_INVERSE_PENALTY, _INVERSE_PENALTY_OF_PRODUCTS = 0.3, 0.03
# The least AUROC of the evidence alone for which products are worth having. Where words say less,
# what products find doesn't carry over, and the encoder learns less beside them.
_TELLING = 0.85
# Pairs of the numbers, each with itself too: where all words of an output are found again,
# one negation decides; where few are, it says nothing.
FIRST, SECOND = map(list, zip(*combinations_with_replacement(range(len(NAMES)), 2), strict=True))
# Wider than any evidence.
_ANY = 1e4


class LexicalFit(NamedTuple):
    """A logistic regression on evidence and products of two of its numbers; see `fit_lexical`.

    With products, evidence is taken within the range of the rows that it was fitted on, less its
    mean there.

    Attributes:
        lowest: The least of each number, shape (n,).
        highest: The greatest of each, shape (n,).
        mean: Shape (n,).
        weights: Of the numbers, shape (n,).
        pairs: Of the products, shape (n (n + 1) / 2,).
        bias: The intercept.
    """

    lowest: Floats
    highest: Floats
    mean: Floats
    weights: Floats
    pairs: Floats
    bias: float

    @classmethod
    def zero(cls) -> LexicalFit:
        """One that says nothing."""
        return cls.linear(np.zeros(len(NAMES)), 0.0)

    @classmethod
    def linear(cls, weights: Floats, bias: float) -> LexicalFit:
        """A regression on the numbers alone, over any range."""
        zeros = np.zeros(len(NAMES))
        return cls(zeros - _ANY, zeros + _ANY, zeros, weights, np.zeros(len(FIRST)), bias)


def fit_lexical(rows: Sequence[Row], encoded: Sequence[Encoded]) -> LexicalFit:
    """Fits the regression on training rows; zeros where all rows are of one class.

    Args:
        rows: The rows.
        encoded: The same rows encoded, with evidence.
    """
    evidence = np.stack([_deciding(one) for one in encoded]).astype(float)
    labels = np.array([row.label for row in rows])
    if not 0 < labels.mean() < 1:
        return LexicalFit.zero()
    shares = np.array([row.weight for row in rows])
    weights, bias = _regression(evidence, labels, shares, _INVERSE_PENALTY)
    good = labels > 0.5
    if good.all() or not good.any() or roc_auc_score(good, evidence @ weights) < _TELLING:
        return LexicalFit.linear(weights, bias)
    mean = evidence.mean(axis=0)
    usual = evidence - mean
    numbers = np.hstack([usual, usual[:, FIRST] * usual[:, SECOND]])
    weights, bias = _regression(numbers, labels, shares, _INVERSE_PENALTY_OF_PRODUCTS)
    return LexicalFit(
        lowest=evidence.min(axis=0),
        highest=evidence.max(axis=0),
        mean=mean,
        weights=weights[: len(NAMES)],
        pairs=weights[len(NAMES) :],
        bias=bias,
    )


def fit_monotone(rows: Sequence[Row], encoded: Sequence[Encoded], *, covers: bool) -> LexicalFit:
    """Fits a regression in which what is found again never counts against an output.

    Nor does what isn't found again count for it. So it carries over to other data, where a free one
    fails: a set written to fool word overlap teaches that shared words are a bad sign, and says so
    of every other set.

    Args:
        rows: The rows, none of them rewritten to mislead by its words.
        encoded: The same rows encoded, with evidence.
        covers: Whether a good output says what the ground truth says, as with reference answers,
            rather than some of it.

    Returns:
        A regression without products; zeros where all rows are of one class.
    """
    evidence = np.stack([_deciding(one) for one in encoded]).astype(float)
    labels = np.array([row.label for row in rows])
    shares = np.array([row.weight for row in rows])
    if not 0 < labels.mean() < 1:
        return LexicalFit.zero()
    scaler = StandardScaler().fit(evidence)
    numbers, shares = scaler.transform(evidence), shares / shares.mean()
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * (len(NAMES) + 1)
    for place in FOUND:
        bounds[place] = (0.0, None)
    for place in MISSING:
        bounds[place] = (None, 0.0)
    for place in COVERAGE if not covers else ():
        bounds[place] = (0.0, 0.0)

    def loss(values: Floats) -> tuple[float, Floats]:
        logits = numbers @ values[:-1] + values[-1]
        residuals = shares * (expit(logits) - labels)
        penalty = values[:-1] / _INVERSE_PENALTY
        entropy = shares @ (np.logaddexp(0, logits) - labels * logits)
        gradient = np.append(numbers.T @ residuals + penalty, residuals.sum())
        return float(entropy + values[:-1] @ penalty / 2), gradient

    start = np.zeros(len(NAMES) + 1)
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    weights = found[:-1] / scaler.scale_
    return LexicalFit.linear(weights, float(found[-1] - scaler.mean_ @ weights))


def _regression(
    numbers: Floats, labels: Floats, shares: Floats, inverse_penalty: float
) -> tuple[Floats, float]:
    """Weights and bias of a logistic regression on numbers, which it standardises."""
    scaler = StandardScaler().fit(numbers)
    # A soft label is a good row and a bad one, weighted.
    fit = LogisticRegression(C=inverse_penalty, max_iter=1000).fit(
        np.tile(scaler.transform(numbers), (2, 1)),
        np.repeat([1, 0], len(labels)),
        np.concatenate([labels, 1 - labels]) * np.tile(shares / shares.mean(), 2),
    )
    weights = fit.coef_[0] / scaler.scale_
    return weights, float(fit.intercept_[0] - scaler.mean_ @ weights)


def _deciding(encoded: Encoded) -> npt.NDArray[np.float32]:
    """The evidence of the run that would decide by the share of the output's words alone."""
    shares = [float(tokens.evidence[0]) for tokens in encoded.runs]
    return encoded.runs[deciding_run_index(shares, encoded.parts)].evidence
