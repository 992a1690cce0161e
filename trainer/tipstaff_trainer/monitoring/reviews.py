"""Rows that people reviewed: drawn with a known probability, or picked.

Only a drawn row has a probability, and only drawn rows can be passed to an estimate. A picked row,
such as one behind a spike, may train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DrawnReview:
    """A reviewed row that was drawn.

    Attributes:
        bad: One less the people's label, in [0, 1].
        expected: One less the evaluator's score, in [0, 1].
        probability: That with which the row was to be kept and reviewed, in (0, 1].
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
        bad: One less the people's label, in [0, 1].
        expected: One less the evaluator's score, in [0, 1].
        verdict: The evaluator's verdict.
        version: The evaluator's version.
        caller: Who asked.
    """

    bad: float
    expected: float
    verdict: str
    version: int = 0
    caller: str = ""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row that was drawn to be kept.

    Attributes:
        period: Rows of one period are reviewed in one order, such as those of a day.
        probability: That with which it was kept.
        rank: Its place among the kept rows of any probability: the draw divided by it, in [0, 1).
        bad: One less the people's label; None while there is none.
        waiting: Whether people have yet to look at it: not so if they skipped or removed it.
        expected: One less the evaluator's score.
        verdict: The evaluator's verdict.
        version: The evaluator's version.
        caller: Who asked.
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


@dataclass(frozen=True, slots=True)
class Sample:
    """What reviews can be estimated from.

    Attributes:
        drawn: Reviewed rows that were drawn, with the probability of being kept and reviewed.
        picked: Other reviewed rows, which train and never estimate.
        unanswered_in: Drawn rows that people looked at and left without a label, by period.
        periods: The periods that have drawn rows.
    """

    drawn: tuple[DrawnReview, ...]
    picked: tuple[PickedReview, ...]
    unanswered_in: Mapping[int, int]
    periods: frozenset[int]

    @property
    def unanswered(self) -> int:
        """Drawn rows that people looked at and left without a label."""
        return sum(self.unanswered_in.values())

    def of_periods(self, periods: frozenset[int]) -> Sample:
        """The drawn rows of some periods."""
        return Sample(
            tuple(each for each in self.drawn if each.period in periods),
            (),
            {each: n for each, n in self.unanswered_in.items() if each in periods},
            self.periods & periods,
        )


def drawn_reviews(rows: Sequence[KeptRow]) -> Sample:
    """Separates reviewed rows into drawn and picked ones.

    Reviewers take a period's rows by rank, which doesn't depend on what the rows hold. All rows
    below the first rank that nobody has reviewed yet are a sample: given that rank, each was in it
    with the rank as probability (bottom-k sampling: Cohen and Kaplan 2007; priority sampling:
    Duffield, Lund and Thorup 2007). Rows reviewed beyond it were picked.
    """
    first: dict[int, float] = {}
    for row in rows:
        if row.waiting:
            first[row.period] = min(row.rank, first.get(row.period, 1.0))
    drawn, picked, periods = [], [], set()
    unanswered: Counter[int] = Counter()
    for row in rows:
        share = first.get(row.period, 1.0)
        if row.rank >= share:
            if row.bad is not None:
                picked.append(
                    PickedReview(row.bad, row.expected, row.verdict, row.version, row.caller)
                )
            continue
        periods.add(row.period)
        if row.bad is None:
            unanswered[row.period] += 1
        else:
            probability = row.probability * share
            drawn.append(
                DrawnReview(
                    *(row.bad, row.expected, probability, row.verdict, row.version, row.caller),
                    period=row.period,
                )
            )
    return Sample(tuple(drawn), tuple(picked), unanswered, frozenset(periods))
