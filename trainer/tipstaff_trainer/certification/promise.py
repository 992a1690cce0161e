"""Error bounds to certify, and the thresholds that keep them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tipstaff.errors import UsageError
from tipstaff_trainer.certification import sweep
from tipstaff_trainer.certification.sweep import Cut, Floats
from tipstaff_trainer.errors import CertificationError

Bools = npt.NDArray[np.bool_]

# A rate that three million rows without an error could prove.
_LEAST = 1e-6
# Without a bound on false BLOCKs, BLOCK starts where bad is likelier than good.
_EVEN = 0.5


@dataclass(frozen=True, slots=True)
class Promise:
    """Two error bounds to certify, each with the confidence `confidence`.

    Bad rows prove the first and good rows the second, so both hold at once with at least the square
    of the confidence.

    Attributes:
        max_false_pass: The upper bound for P(PASS | bad); 1 promises nothing.
        max_false_block: The upper bound for P(BLOCK | good); 1 promises nothing.
        confidence: In (0, 1).
    """

    max_false_pass: float = 0.05
    max_false_block: float = 1.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            UsageError: A rate is not in [1e-6, 1], the confidence is not in (0, 1), or nothing is
                promised.
        """
        for name in ("max_false_pass", "max_false_block"):
            if not _LEAST <= getattr(self, name) <= 1:
                raise UsageError(
                    f"give a rate from {_LEAST:g} (no number of rows proves that errors never "
                    "happen) to 1 (which promises nothing)",
                    field=name,
                    value=f"{getattr(self, name):g}",
                )
        if not 0 < self.confidence < 1:
            value = f"{self.confidence:g}"
            raise UsageError("give a number in (0, 1), as 0.95", field="confidence", value=value)
        if self.max_false_pass == self.max_false_block == 1:
            raise UsageError(
                "nothing to certify", remedy="set {max_false_pass} or {max_false_block} under 1"
            )


@dataclass(frozen=True, slots=True)
class CertifiedCuts:
    """Thresholds of the verdicts.

    Attributes:
        pass_at: The lowest score that gets PASS; at least `block_below`.
        block_below: Lower scores get BLOCK.
        false_pass: The laxest cut for PASS; None without a bound.
        false_block: The laxest cut for BLOCK; None without a bound.
    """

    pass_at: float
    block_below: float
    false_pass: Cut | None
    false_block: Cut | None


def check_enough(bad: int, good: int, promise: Promise) -> None:
    """Checks that there are enough rows to prove the promise for any cut.

    Raises:
        CertificationError: There are too few; the message says how many are needed.
    """
    confidence = promise.confidence
    bounds = {"bad": (bad, promise.max_false_pass), "good": (good, promise.max_false_block)}
    for label, (count, bound) in bounds.items():
        if bound < 1 and count < (needed := sweep.rows_needed(bound, confidence)):
            raise CertificationError(
                f"{count} {label} rows can't prove a rate of at most {bound:g} with confidence "
                f"{confidence:g}: that takes {needed} without an error, or more with errors, each "
                "of another group",
                remedy=f"label {needed - count} more {label} ones at random, or promise less",
            )


def certified_cuts(bad_scores: Floats, good_scores: Floats, promise: Promise) -> CertifiedCuts:
    """The laxest cuts that keep a promise.

    Args:
        bad_scores: Scores of independent bad rows, shape (n,); -inf where the verdict can't be
            PASS.
        good_scores: Scores of independent good rows, shape (m,).
        promise: The promise.

    Raises:
        CertificationError: There are too few rows, or no cut keeps the promise.
    """
    check_enough(len(bad_scores), len(good_scores), promise)
    confidence = promise.confidence
    passing = blocking = None
    if promise.max_false_pass < 1:
        passing = sweep.laxest_pass(bad_scores, bound=promise.max_false_pass, confidence=confidence)
        if passing is None:
            raise _hopeless("bad", "PASS", bad_scores >= sweep.CUTS[0], confidence)
    if promise.max_false_block < 1:
        blocking = sweep.laxest_block(
            good_scores, bound=promise.max_false_block, confidence=confidence
        )
        if blocking is None:
            raise _hopeless("good", "BLOCK", good_scores < sweep.CUTS[-1], confidence)
    # A cut without a bound yields to the other.
    lowest_pass = passing.at if passing else max(_EVEN, blocking.at if blocking else 0)
    highest_block = blocking.at if blocking else min(_EVEN, lowest_pass)
    if highest_block > lowest_pass:
        # Any cut between the two keeps both bounds, and leaves nothing to review.
        lowest_pass = highest_block = min(max(_EVEN, lowest_pass), highest_block)
    return CertifiedCuts(lowest_pass, highest_block, passing, blocking)


def _hopeless(label: str, verdict: str, wrong: Bools, confidence: float) -> CertificationError:
    """The error for rows of which too many are wrong at the strictest cut."""
    errors, n = int(wrong.sum()), len(wrong)
    upper = float(sweep.upper_bound(errors, n, confidence))
    return CertificationError(
        f"no cut keeps the promise: {errors} of {n} {label} rows get {verdict} even at the "
        f"strictest cut, so their rate may be {upper:.3g}",
        remedy="look at these rows (are their labels right?), or promise less",
    )
