"""Rates of bad answers, false passes and agreement: drawn reviews, and counts of all answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tipstaff_trainer.monitoring.estimates import Estimate, Totals, estimate_rate
from tipstaff_trainer.monitoring.reviews import DrawnReview, Sample
from tipstaff_trainer.workspace.db.models.traffic import DAY
from tipstaff_trainer.workspace.traffic.window import Cell, Window

# Up to so many periods of a window have rates of their own.
_MOST_PERIODS = 13
# REVIEW leaves the decision to a person, so nobody can disagree with it.
_DECIDED = ("PASS", "BLOCK")


@dataclass(frozen=True, slots=True)
class Rates:
    """What drawn reviews and all scores say of some traffic.

    Attributes:
        n: Answers.
        bad: The share of bad answers.
        false_pass: The share of bad ones among those that passed.
        agreement: The share of PASS and BLOCK verdicts that people agree with.
        needs_person: The share of REVIEW verdicts, which need a person; None without answers.
    """

    n: int
    bad: Estimate
    false_pass: Estimate
    agreement: Estimate
    needs_person: float | None


def to_rates(days: Sequence[Cell], sample: Sample) -> Rates:
    """The rates of the days that have drawn reviews.

    Args:
        days: All answers by day, version and verdict.
        sample: The reviews of the same answers.
    """
    cells = [each for each in days if each.start // DAY in sample.periods]
    passed = [each for each in cells if each.verdict == "PASS"]
    decided = [each for each in cells if each.verdict in _DECIDED]
    passed_sample, decided_sample = (
        sample.where(verdicts=("PASS",)),
        sample.where(verdicts=_DECIDED),
    )
    n = sum(each.n for each in cells)
    disagreement = estimate_rate(
        _totals(decided, disagreement=True),
        [_disagreement(each) for each in decided_sample.drawn],
        unanswered=len(decided_sample.unanswered),
    )
    return Rates(
        n=n,
        bad=estimate_rate(_totals(cells), sample.drawn, unanswered=len(sample.unanswered)),
        false_pass=estimate_rate(
            _totals(passed), passed_sample.drawn, unanswered=len(passed_sample.unanswered)
        ),
        agreement=_complement(disagreement),
        needs_person=sum(each.n for each in cells if each.verdict == "REVIEW") / n if n else None,
    )


def withheld_rates(why: str) -> Rates:
    """No rates, and why there can be none."""
    nothing = Estimate(None, None, None, 0, None, why)
    return Rates(n=0, bad=nothing, false_pass=nothing, agreement=nothing, needs_person=None)


def rates_by_version(days: Sequence[Cell], sample: Sample) -> dict[int, Rates]:
    """The rates of each version, oldest first."""
    return {
        version: to_rates(
            [each for each in days if each.version == version], sample.where(version=version)
        )
        for version in sorted({each.version for each in days})
    }


def rates_over_time(
    days: Sequence[Cell], sample: Sample, window: Window
) -> list[tuple[int, Rates]]:
    """The rates of each period of a window that has reviews, with its first day's start."""
    first, last = int(window.since) // DAY, int(window.until) // DAY
    length = max(1, -(-(last - first + 1) // _MOST_PERIODS))
    begins = {day: day - (day - first) % length for day in range(first, last + 1)}
    parts = sorted(sample.split(begins).items())
    return [(begin * DAY, to_rates(days, part)) for begin, part in parts]


def _totals(cells: Sequence[Cell], *, disagreement: bool = False) -> Totals:
    return Totals(
        n=sum(each.n for each in cells),
        expected_bad=sum(
            each.n - each.bad if disagreement and each.verdict == "BLOCK" else each.bad
            for each in cells
        ),
        drawn=sum(each.drawn for each in cells),
        dropped=sum(each.dropped for each in cells),
    )


def _disagreement(review: DrawnReview) -> DrawnReview:
    """The review of a row, with whether people contradict the verdict in place of the label."""
    if review.verdict == "PASS":
        return review
    return replace(review, bad=1 - review.bad, expected=1 - review.expected)


def _complement(estimate: Estimate) -> Estimate:
    expected = None if estimate.expected is None else 1 - estimate.expected
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return replace(estimate, expected=expected)
    return replace(
        estimate,
        value=1 - estimate.value,
        low=1 - estimate.high,
        high=1 - estimate.low,
        expected=expected,
    )
