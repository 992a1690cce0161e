"""From a score to a verdict."""

from __future__ import annotations

from collections.abc import Collection

from tipstaff.types import Reason, Verdict
from tipstaff_server.evaluator.manifest import Policy


def decide(score: float, reasons: Collection[Reason], policy: Policy) -> Verdict:
    """PASS at `pass_at` and above, BLOCK below `block_below`, REVIEW between.

    A PASS becomes REVIEW if a field is missing, and, unless the policy allows it, if the
    interaction is out of distribution or part of its text was not scored.
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
