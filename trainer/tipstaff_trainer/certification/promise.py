"""What can be promised of the cuts, and the cuts that keep it."""

from __future__ import annotations

from dataclasses import dataclass

from tipstaff.errors import UsageError
from tipstaff_trainer.certification.sweep import (
    CUTS,
    Cut,
    Floats,
    laxest_block,
    laxest_pass,
    rows_needed,
    upper_bound,
)
from tipstaff_trainer.errors import CertificationError

# A rate that three million rows without an error could prove.
_LEAST = 1e-6
# Where nothing is promised of BLOCK, it is for what is more likely bad than good.
_EVEN = 0.5


@dataclass(frozen=True, slots=True)
class Promise:
    """What is to be certified: two promises, each with `confidence` on its own.

    They rest on different rows, the one on bad and the other on good ones, so both hold at once
    with a confidence of at least its square.

    Attributes:
        max_false_pass: P(PASS | bad) is to be at most this; 1 promises nothing.
        max_false_block: P(BLOCK | good) is to be at most this; 1 promises nothing.
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
                    f"--{name.replace('_', '-')} {getattr(self, name):g}: give a rate from "
                    f"{_LEAST:g} on (no number of rows proves that errors never come) up to 1 "
                    "(which promises nothing)"
                )
        if not 0 < self.confidence < 1:
            raise UsageError(f"--confidence {self.confidence:g}: give one between 0 and 1, as 0.95")
        if self.max_false_pass == self.max_false_block == 1:
            raise UsageError(
                "nothing to certify: give --max-false-pass or --max-false-block under 1"
            )


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where PASS begins and BLOCK ends.

    Attributes:
        pass_at: At least `block_below`.
        block_below: BLOCK under it.
        false_pass: The laxest cut for PASS; None when nothing was promised of it.
        false_block: The laxest cut for BLOCK; None when nothing was promised of it.
    """

    pass_at: float
    block_below: float
    false_pass: Cut | None
    false_block: Cut | None


def check_enough(bad: int, good: int, promise: Promise) -> None:
    """Checks that there are rows enough for the promise to be kept by any cut.

    Raises:
        CertificationError: There are not; says how many are needed.
    """
    for label, count, bound in (
        ("bad", bad, promise.max_false_pass),
        ("good", good, promise.max_false_block),
    ):
        if bound < 1 and count < (needed := rows_needed(bound, promise.confidence)):
            raise CertificationError(
                f"{count} {label} rows can't prove a rate of at most {bound:g} with confidence "
                f"{promise.confidence:g}: that takes {needed} without an error, and more with "
                f"some, each of another group; label {needed - count} more {label} ones, drawn at "
                "random, or promise less"
            )


def certified_cuts(bad_scores: Floats, good_scores: Floats, promise: Promise) -> Cuts:
    """The laxest cuts that keep a promise.

    Args:
        bad_scores: Of independent bad rows, shape (n,); -inf where the verdict can't be PASS.
        good_scores: Of independent good rows, shape (m,).
        promise: What they are to keep.

    Raises:
        CertificationError: Too few rows, or no cut keeps it.
    """
    check_enough(len(bad_scores), len(good_scores), promise)
    confidence = promise.confidence
    passing = blocking = None
    if promise.max_false_pass < 1:
        passing = laxest_pass(bad_scores, bound=promise.max_false_pass, confidence=confidence)
        if passing is None:
            errors = int((bad_scores >= CUTS[0]).sum())
            raise _hopeless("bad", "PASS", errors, len(bad_scores), confidence)
    if promise.max_false_block < 1:
        blocking = laxest_block(good_scores, bound=promise.max_false_block, confidence=confidence)
        if blocking is None:
            errors = int((good_scores < CUTS[-1]).sum())
            raise _hopeless("good", "BLOCK", errors, len(good_scores), confidence)
    # One that nothing is promised of keeps out of the other's way.
    lowest_pass = passing.at if passing else max(_EVEN, blocking.at if blocking else 0)
    highest_block = blocking.at if blocking else min(_EVEN, lowest_pass)
    if highest_block > lowest_pass:
        # Any cut between the two keeps both promises, and leaves nothing to review.
        lowest_pass = highest_block = min(max(_EVEN, lowest_pass), highest_block)
    return Cuts(lowest_pass, highest_block, passing, blocking)


def _hopeless(
    label: str, verdict: str, errors: int, n: int, confidence: float
) -> CertificationError:
    upper = float(upper_bound(errors, n, confidence))
    return CertificationError(
        f"no cut keeps the promise: {errors} of {n} {label} rows get {verdict} even at the "
        f"strictest, so their rate may be {upper:.3g}; look at these rows (are their labels "
        "right?), or promise less"
    )
