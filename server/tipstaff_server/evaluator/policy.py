"""From a score to a verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tipstaff.types import Coverage, Field, Reason, Verdict
from tipstaff_server.evaluator.manifest import Policy


def decide(score: float, reasons: Collection[Reason], policy: Policy) -> Verdict:
    """PASS at `pass_at` and above, BLOCK below `block_below`, REVIEW between.

    A PASS becomes REVIEW if a field is missing, and, unless the policy allows it, if the
    interaction is out of distribution, part of its text was not scored, too much of it can't be
    read, or the evaluator has not learnt. A BLOCK becomes REVIEW if the interaction is out of
    distribution, unless the policy allows it.
    """
    if score < policy.block_below:
        unfamiliar = Reason.OUT_OF_DISTRIBUTION in reasons and not policy.block_on_ood
        return Verdict.REVIEW if unfamiliar else Verdict.BLOCK
    if score < policy.pass_at:
        return Verdict.REVIEW
    allowed = {
        Reason.MISSING_FIELD: False,
        Reason.PARTIAL: policy.pass_on_partial,
        Reason.OUT_OF_DISTRIBUTION: policy.pass_on_ood,
        Reason.UNREADABLE: policy.pass_on_unreadable,
        Reason.NOT_LEARNT: policy.pass_on_not_learnt,
    }
    return Verdict.PASS if all(allowed.get(each, True) for each in reasons) else Verdict.REVIEW


def is_unreadable(coverage: Mapping[Field, Coverage], policy: Policy) -> bool:
    """Whether more of some field can't be read than the policy's limits allow."""
    return any(
        part.unread > (policy.max_unread_output if name == "output" else policy.max_unread_other)
        for name, part in coverage.items()
    )
