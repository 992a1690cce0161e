"""What part of an evaluator's traffic to look at, and what its charts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tipstaff_trainer.workspace.db.models.traffic import DAY, HOUR, MINUTE

VERDICTS = ("PASS", "REVIEW", "BLOCK")
# The shares of verdicts, and the mean of 1 − score.
CHARTS = (*VERDICTS, "expected_bad")
BANDS = 10
# Up to this long a window is shown by the minute.
_BY_MINUTE = 3 * HOUR
_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Window:
    """What part of an evaluator's traffic to look at.

    Attributes:
        since: Its start, in seconds since 1970.
        until: Its end, which is not in it.
        version: Only this version's; None for all.
        caller: Only this caller's; None for all.
        attribute: Only answers with this value of an attribute, as (name, value); None for all.
            Their numbers are estimated from kept rows.
    """

    since: float
    until: float
    version: int | None = None
    caller: str | None = None
    attribute: tuple[str, str] | None = None

    @classmethod
    def last(
        cls,
        seconds: float,
        *,
        now: float,
        version: int | None = None,
        caller: str | None = None,
        attribute: tuple[str, str] | None = None,
    ) -> Window:
        """The window of so many seconds until now."""
        return cls(now - seconds, now, version, caller, attribute)

    @property
    def narrowed(self) -> bool:
        """Whether it is only of a version, a caller or an attribute."""
        return (self.version, self.caller, self.attribute) != (None, None, None)

    @property
    def span(self) -> int:
        """The seconds that its counts are read by."""
        return MINUTE if self.until - self.since <= _BY_MINUTE else HOUR

    @property
    def start(self) -> int:
        """Its start, rounded down to a whole span."""
        return int(self.since) // self.span * self.span

    @property
    def step(self) -> int:
        """Seconds between two points of its charts."""
        steps = (self.span, 4 * HOUR, 12 * HOUR, DAY)
        length = self.until - self.since
        return next((step for step in steps if length <= step * _MOST_POINTS), DAY)


@dataclass(frozen=True, slots=True)
class Cell:
    """Counts of answers of one kind; 0 or empty where a query doesn't tell the kinds apart.

    Attributes:
        start: When they begin, in seconds since 1970.
        version: The evaluator's version.
        caller: Who asked.
        verdict: The verdict.
        band: The tenth of the score.
        n: Answers.
        drawn: Of these, those drawn to be kept.
        dropped: Of the drawn, those that were lost.
        bad: The sum of 1 − score.
    """

    start: int
    version: int
    caller: str
    verdict: str
    band: int
    n: int
    drawn: int
    dropped: int
    bad: float


@dataclass(frozen=True, slots=True)
class Point:
    """One step of the charts.

    Attributes:
        start: When it begins, in seconds since 1970.
        n: Answers.
        verdicts: Answers by verdict.
        expected_bad: The sum of 1 − score.
    """

    start: int
    n: int
    verdicts: Mapping[str, int]
    expected_bad: float
