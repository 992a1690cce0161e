"""Rows that people reviewed: drawn with a known probability, or picked.

Only a drawn row has a probability, and estimates take only drawn rows. Picked rows, such as those
behind a spike, are for training.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class DrawnReview:
    """A reviewed row that was drawn.

    Attributes:
        bad: 1 − the people's label, in [0, 1].
        expected: 1 − the evaluator's score, in [0, 1].
        probability: How likely the row was to be kept and reviewed, in (0, 1].
        verdict: The evaluator's verdict.
        version: The evaluator's version.
        caller: Who asked.
        period: The period whose rows were reviewed in one order, such as a day.
    """

    bad: float
    expected: float
    probability: float
    verdict: str
    version: int = 0
    caller: str = ""
    period: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ValueError(f"a drawn row has a probability in (0, 1], not {self.probability!r}")


@dataclass(frozen=True, slots=True)
class PickedReview:
    """A reviewed row that somebody picked; it has no probability.

    Attributes:
        bad: 1 − the people's label, in [0, 1].
        expected: 1 − the evaluator's score, in [0, 1].
        verdict: The evaluator's verdict.
        version: The evaluator's version.
        caller: Who asked.
        period: The period that the row is of.
    """

    bad: float
    expected: float
    verdict: str
    version: int = 0
    caller: str = ""
    period: int = 0


@dataclass(frozen=True, slots=True)
class UnansweredReview:
    """A drawn row that people looked at and left without a label.

    Attributes:
        verdict: The evaluator's verdict.
        version: The evaluator's version.
        caller: Who asked.
        period: The period that the row is of.
    """

    verdict: str
    version: int = 0
    caller: str = ""
    period: int = 0


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row that was drawn to be kept.

    Attributes:
        period: Rows of one period, such as a day, are reviewed in one order.
        probability: How likely it was to be kept.
        rank: Its place in that order: the draw divided by the probability, in [0, 1).
        bad: 1 − the people's label; None while there is none.
        expected: 1 − the evaluator's score.
        verdict: The evaluator's verdict.
        version: The evaluator's version.
        caller: Who asked.
        waiting: Whether people have yet to look at it; False if they skipped or removed it.
    """

    period: int
    probability: float
    rank: float
    bad: float | None
    expected: float
    verdict: str
    version: int = 0
    caller: str = ""
    waiting: bool = False


Review = TypeVar("Review", DrawnReview, PickedReview, UnansweredReview)


@dataclass(frozen=True, slots=True)
class Sample:
    """Reviewed rows, by what they can be used for.

    Attributes:
        drawn: Those that estimates rest on.
        picked: Others, for training only.
        unanswered: Drawn rows that people looked at and left without a label.
        periods: The periods with drawn rows that people looked at, whatever the rows' version,
            caller and verdict.
    """

    drawn: tuple[DrawnReview, ...] = ()
    picked: tuple[PickedReview, ...] = ()
    unanswered: tuple[UnansweredReview, ...] = ()
    periods: frozenset[int] = frozenset()

    def where(
        self,
        *,
        version: int | None = None,
        caller: str | None = None,
        verdicts: Collection[str] | None = None,
    ) -> Sample:
        """The part of all its rows that has a version, a caller or some verdicts.

        Args:
            version: Only this version's; None for all, as with the others.
            caller: Only this caller's.
            verdicts: Only rows with one of these verdicts.
        """

        def matches(each: DrawnReview | PickedReview | UnansweredReview) -> bool:
            return (
                version in (None, each.version)
                and caller in (None, each.caller)
                and (verdicts is None or each.verdict in verdicts)
            )

        return Sample(
            tuple(filter(matches, self.drawn)),
            tuple(filter(matches, self.picked)),
            tuple(filter(matches, self.unanswered)),
            self.periods,
        )

    def split(self, part_of: Mapping[int, int]) -> dict[int, Sample]:
        """Its parts that have drawn rows which people looked at, by the part's number.

        Args:
            part_of: The part of each period; rows of other periods are in none.
        """
        drawn = _by_part(self.drawn, part_of)
        picked = _by_part(self.picked, part_of)
        unanswered = _by_part(self.unanswered, part_of)
        periods: defaultdict[int, set[int]] = defaultdict(set)
        for period in self.periods & part_of.keys():
            periods[part_of[period]].add(period)
        return {
            part: Sample(
                tuple(drawn[part]), tuple(picked[part]), tuple(unanswered[part]), frozenset(some)
            )
            for part, some in periods.items()
        }


def _by_part(rows: Iterable[Review], part_of: Mapping[int, int]) -> defaultdict[int, list[Review]]:
    parts: defaultdict[int, list[Review]] = defaultdict(list)
    for each in rows:
        if each.period in part_of:
            parts[part_of[each.period]].append(each)
    return parts


def drawn_reviews(rows: Sequence[KeptRow]) -> Sample:
    """Separates reviewed rows into drawn and picked ones.

    People review a period's rows in the order of their ranks, which don't depend on what the rows
    hold. The rows below the lowest rank that still waits are a sample: given that rank, each kept
    row was in it with the rank as probability (bottom-k sampling: Cohen and Kaplan 2007; priority
    sampling: Duffield, Lund and Thorup 2007). Rows that were reviewed beyond it count as picked.
    """
    first: dict[int, float] = {}
    for row in rows:
        if row.waiting:
            first[row.period] = min(row.rank, first.get(row.period, 1.0))
    drawn, picked, unanswered, periods = [], [], [], set()
    for row in rows:
        share = first.get(row.period, 1.0)
        kind = (row.verdict, row.version, row.caller, row.period)
        if row.rank >= share:
            if row.bad is not None:
                picked.append(PickedReview(row.bad, row.expected, *kind))
            continue
        periods.add(row.period)
        if row.bad is None:
            unanswered.append(UnansweredReview(*kind))
        else:
            drawn.append(DrawnReview(row.bad, row.expected, row.probability * share, *kind))
    return Sample(tuple(drawn), tuple(picked), tuple(unanswered), frozenset(periods))
