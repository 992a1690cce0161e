"""From a score to a verdict."""

from __future__ import annotations

from collections.abc import Collection

from tipstaff.types import Reason, Verdict
from tipstaff_server.evaluator.manifest import Policy


def decide(score: float, reasons: Collection[Reason], policy: Policy) -> Verdict:
    """PASS from `pass_at` on, BLOCK under `block_below`, REVIEW between.

    A PASS becomes REVIEW when the score rests on less than it was trained to see: a field is
    missing, the interaction is unlike the training data, or part of the text was left out (these
    last two unless the policy allows them by name).
    """
    if score < policy.block_below:
        return Verdict.BLOCK
    if score < policy.pass_at:
        return Verdict.REVIEW
    partial = Reason.PARTIAL in reasons and not policy.pass_on_partial
    ood = Reason.OUT_OF_DISTRIBUTION in reasons and not policy.pass_on_ood
    if partial or ood or Reason.MISSING_FIELD in reasons:
        return Verdict.REVIEW
    return Verdict.PASS
