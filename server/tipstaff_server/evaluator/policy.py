"""From a score to a verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tipstaff.types import Coverage, Field, Reason, Verdict
from tipstaff_server.evaluator.manifest import Policy


def decide(score: float, reasons: Collection[Reason], policy: Policy) -> Verdict:
    """PASS at `pass_at` and above, BLOCK below `block_below`, REVIEW between.

    A PASS becomes REVIEW if a field is missing, and, unless the policy allows it, if the
    interaction is out of distribution, part of its text was not scored, or too much of it can't be
    read.
    """
    if score < policy.block_below:
        return Verdict.BLOCK
    if score < policy.pass_at:
        return Verdict.REVIEW
    partial = Reason.PARTIAL in reasons and not policy.pass_on_partial
    ood = Reason.OUT_OF_DISTRIBUTION in reasons and not policy.pass_on_ood
    unreadable = Reason.UNREADABLE in reasons and not policy.pass_on_unreadable
    if partial or ood or unreadable or Reason.MISSING_FIELD in reasons:
        return Verdict.REVIEW
    return Verdict.PASS


def is_unreadable(coverage: Mapping[Field, Coverage], policy: Policy) -> bool:
    """Whether more of some field can't be read than the policy's limits allow."""
    return any(
        part.unread > (policy.max_unread_output if name == "output" else policy.max_unread_other)
        for name, part in coverage.items()
    )
