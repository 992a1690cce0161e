"""What a comparison found, in a sentence that stands above its numbers."""

from __future__ import annotations

from typing import NamedTuple

from tipstaff_trainer.evaluation.comparison import SIGNIFICANT, Comparison


class Headline(NamedTuple):
    """A comparison's result.

    Attributes:
        title: In a few words.
        details: A sentence with the rows that it rests on; for a regression its reasons.
        worse: Whether something got worse, beyond chance or not.
    """

    title: str
    details: str
    worse: bool

    def __str__(self) -> str:
        return f"{self.title}. {self.details}"


def headline(comparison: Comparison) -> Headline:
    """The gravest finding: a regression, wrong verdicts that got more, or how decisions changed."""
    if comparison.regressions:
        details = "; ".join(comparison.regressions)
        return Headline("A regression", f"{details}.", worse=True)
    rows, good = comparison.changed_verdicts, comparison.second.overall.good
    for title, count, kind, does, now, no_longer in (
        (
            "More bad rows pass",
            comparison.n - good,
            "bad",
            "pass",
            rows.bad_now_pass,
            rows.bad_no_longer_pass,
        ),
        (
            "More good rows are blocked",
            good,
            "good",
            "are blocked",
            rows.good_now_blocked,
            rows.good_no_longer_blocked,
        ),
    ):
        if len(now) > len(no_longer):
            details = (
                f"Of {count} {kind} rows {len(now)} now {does} and {len(no_longer)} no longer, "
                "which may be chance."
            )
            return Headline(title, details, worse=True)
    better, worse = len(comparison.better), len(comparison.worse)
    of_all = f"Of {comparison.n} rows {better} got better and {worse} worse"
    if better > worse and comparison.p < SIGNIFICANT:
        return Headline("The second is better", f"{of_all} (p = {comparison.p:.2g}).", worse=False)
    return Headline("Neither is clearly better", f"{of_all}.", worse=False)
