"""Finds the laxest cut that keeps a promise, with Learn-then-Test.

Angelopoulos et al. 2021, "Learn then Test: calibrating predictive algorithms to achieve risk
control": each cut is a hypothesis, "errors come more often than the bound", and is rejected by an
exact binomial test. Cuts are tested in a fixed order, strict to lax, up to the first that can't be
rejected (fixed-sequence testing), so no correction for their number is due. The grid of cuts is the
same for all data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import beta

Floats = npt.NDArray[np.float64]

# Even steps of the log odds: dense near 0 and 1, where most of a good evaluator's scores are.
CUTS: Floats = expit(np.linspace(12, -12, 2401))


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut that keeps the promise.

    Attributes:
        at: The cut, a score in (0, 1).
        errors: The number of rows on the wrong side of the cut.
        n: The number of rows of the class.
        upper: Upper end of the one-sided interval (Clopper-Pearson) for the rate of errors.
    """

    at: float
    errors: int
    n: int
    upper: float


def rows_needed(bound: float, confidence: float) -> int:
    """The number of rows without an error that prove an error rate of at most `bound`.

    Args:
        bound: A rate in (0, 1).
        confidence: In (0, 1).
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-bound))


def upper_bound(errors: npt.ArrayLike, n: int, confidence: float) -> Floats:
    """Clopper and Pearson's exact one-sided upper bound for a rate.

    Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of
    the binomial".

    Args:
        errors: Counts of errors, of any shape, each from 0 to `n`.
        n: Number of independent rows; positive.
        confidence: In (0, 1).
    """
    counts = np.asarray(errors, dtype=float)
    # At n of n the bound is 1, where the beta distribution is not defined.
    inside = beta.ppf(confidence, counts + 1, np.maximum(n - counts, 0.5))
    return np.where(counts < n, inside, 1.0)


def laxest_pass(bad_scores: Floats, *, bound: float, confidence: float) -> Cut | None:
    """The lowest `pass_at` with P(PASS | bad) at most `bound`, with confidence.

    Args:
        bad_scores: Scores of independent bad rows, shape (n,); -inf where the verdict can't be
            PASS.
        bound: A rate in (0, 1).
        confidence: In (0, 1).

    Returns:
        None when not even the strictest cut keeps the promise.
    """
    return _laxest(bad_scores, CUTS, bound, confidence)


def laxest_block(good_scores: Floats, *, bound: float, confidence: float) -> Cut | None:
    """The highest `block_below` with P(BLOCK | good) at most `bound`, with confidence.

    Args:
        good_scores: Scores of independent good rows, shape (n,).
        bound: A rate in (0, 1).
        confidence: In (0, 1).

    Returns:
        None when not even the strictest cut keeps the promise.
    """
    # Not mirrored scores: BLOCK is strictly under the cut, and PASS includes it.
    return _laxest(good_scores, CUTS[::-1], bound, confidence)


def _laxest(scores: Floats, cuts: Floats, bound: float, confidence: float) -> Cut | None:
    """Tests the cuts in their order; rising cuts are for BLOCK."""
    below = np.searchsorted(np.sort(scores), cuts, side="left")
    errors = below if cuts[0] < cuts[-1] else len(scores) - below
    # Computed once for each count of errors.
    upper = upper_bound(np.arange(len(scores) + 1), len(scores), confidence)[errors]
    holds = upper <= bound
    last = int(np.argmin(holds)) - 1 if not holds.all() else len(cuts) - 1
    if last < 0:
        return None
    return Cut(float(cuts[last]), int(errors[last]), len(scores), float(upper[last]))
