"""What traffic says of an evaluator, for the desk and for Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import func, select

from tipstaff_trainer.monitoring.spikes import Spike, find_all
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import TrafficFeedback, TrafficPolicy
from tipstaff_trainer.workspace.db.models.traffic import MINUTE
from tipstaff_trainer.workspace.traffic import totals
from tipstaff_trainer.workspace.traffic.kept import AttributeShare, Latency, read_kept
from tipstaff_trainer.workspace.traffic.rates import (
    Rates,
    rates_by_version,
    rates_over_time,
    to_rates,
)
from tipstaff_trainer.workspace.traffic.sample import read_sample
from tipstaff_trainer.workspace.traffic.window import (
    BANDS,
    VERDICTS,
    Cell,
    Point,
    Window,
)

Key = TypeVar("Key")
_ESTIMATED = "how many answers have this attribute is only estimated: look at all answers"


@dataclass(frozen=True, slots=True)
class Chart:
    """A spike of one chart.

    Attributes:
        name: `PASS`, `REVIEW` or `BLOCK` for a verdict's share, `expected_bad` for the mean of one
            less the scores.
        spike: The spike.
    """

    name: str
    spike: Spike


@dataclass(frozen=True, slots=True)
class Live:
    """An evaluator's traffic in a window.

    Attributes:
        evaluator: Its name.
        dataset_id: The data set of its kept rows.
        window: The window.
        points: The charts' points; steps without answers are left out.
        bands: Answers by tenth of the score, from 0.
        verdicts: Answers by verdict.
        reasons: Answers by reason; empty for an attribute.
        versions: Answers by version.
        callers: Answers by caller.
        attributes: Estimated shares of verdicts by attribute, from kept rows.
        latency: Milliseconds, from kept rows.
        drawn: Answers drawn to be kept.
        dropped: Of these, those that were lost.
        policies: Versions of the sampling policy in use: above 1, rates or salt have changed.
        rates: What reviews say, over the days with reviews.
        days: Days with drawn reviews, and days of the window with answers.
        by_version: The same by version, of the versions with answers, oldest first.
        over_time: The same by period, with the period's start in seconds since 1970.
        picked: Reviewed rows that were not drawn: they train, and are in no rate.
        feedback: Feedback on kept rows: how much is good, and how much is bad.
        spikes: Changes in the window, the latest first; none for an attribute.
    """

    evaluator: str
    dataset_id: int
    window: Window
    points: Sequence[Point]
    bands: Sequence[int]
    verdicts: Mapping[str, int]
    reasons: Mapping[str, int]
    versions: Mapping[int, int]
    callers: Mapping[str, int]
    attributes: Sequence[AttributeShare]
    latency: Latency | None
    drawn: int
    dropped: int
    policies: int
    rates: Rates
    days: tuple[int, int]
    by_version: Mapping[int, Rates] = field(default_factory=dict)
    over_time: Sequence[tuple[int, Rates]] = ()
    picked: int = 0
    feedback: tuple[int, int] = (0, 0)
    spikes: Sequence[Chart] = ()

    @property
    def n(self) -> int:
        """Answers in the window."""
        return sum(self.verdicts.values())

    @property
    def step(self) -> int:
        """Seconds between two points."""
        return self.window.step


def read_live(database: Database, evaluator: str, dataset: int, window: Window) -> Live:
    """Reads an evaluator's traffic in a window."""
    spikes: Sequence[Chart] = ()
    if window.attribute is not None:
        cells = totals.read_estimated(database, evaluator, window)
        points, reasons = _points(cells, window.step), {}
    else:
        cells = totals.read_totals(database, evaluator, window)
        hours = totals.read_hours(database, evaluator, window)
        points, spikes = _points_of_hours(hours, window), _spikes(hours, window)
        reasons = totals.read_reasons(database, evaluator, window)
        if window.span == MINUTE:
            points = _points(totals.read_minutes(database, evaluator, window), MINUTE)
    sample, picked = read_sample(database, evaluator, dataset, window)
    days = totals.read_days(database, evaluator, window)
    bands = _total(cells, lambda each: each.band)
    verdicts = _total(cells, lambda each: each.verdict)
    latency, attributes = read_kept(database, evaluator, window)
    withheld = _ESTIMATED if window.attribute is not None else ""
    return Live(
        evaluator=evaluator,
        dataset_id=dataset,
        window=window,
        points=points,
        bands=[bands.get(band, 0) for band in range(BANDS)],
        verdicts={name: verdicts.get(name, 0) for name in VERDICTS},
        reasons=reasons,
        versions=dict(sorted(_total(cells, lambda each: each.version).items())),
        callers=_total(cells, lambda each: each.caller),
        attributes=attributes,
        latency=latency,
        drawn=sum(each.drawn for each in cells),
        dropped=sum(each.dropped for each in cells),
        policies=_policies(database, evaluator, window),
        rates=to_rates(days, sample, withheld=withheld),
        days=(len(sample.periods), len({each.start for each in days})),
        by_version={} if withheld else rates_by_version(days, sample),
        over_time=() if withheld else rates_over_time(days, sample, window),
        picked=picked,
        feedback=_feedback(database, evaluator, window),
        spikes=spikes,
    )


def _points(cells: Sequence[Cell], step: int) -> list[Point]:
    by_step: dict[int, list[Cell]] = {}
    for each in cells:
        by_step.setdefault(each.start // step * step, []).append(each)
    return [
        Point(
            start=start,
            n=sum(each.n for each in some),
            verdicts=_total(some, lambda each: each.verdict),
            expected_bad=sum(each.bad for each in some),
        )
        for start, some in sorted(by_step.items())
    ]


def _points_of_hours(hours: Sequence[totals.Hour], window: Window) -> list[Point]:
    cells = [
        Cell(start, 0, "", verdict, 0, n, 0, 0, bad)
        for start, verdict, n, bad, _ in hours
        if start >= window.start
    ]
    return _points(cells, window.step)


def _total(cells: Sequence[Cell], key: Callable[[Cell], Key]) -> dict[Key, int]:
    sums: dict[Key, int] = {}
    for each in cells:
        sums[key(each)] = sums.get(key(each), 0) + each.n
    return sums


def _spikes(hours: Sequence[totals.Hour], window: Window) -> list[Chart]:
    """The window's spikes in each chart, the latest first."""
    found = [
        Chart(name, spike)
        for name, spikes in find_all(totals.to_series(hours, window)).items()
        for spike in spikes
        if spike.found >= window.since
    ]
    return sorted(found, key=lambda each: -each.spike.found)


def _policies(database: Database, evaluator: str, window: Window) -> int:
    query = select(func.count()).where(
        TrafficPolicy.evaluator == evaluator,
        TrafficPolicy.last_at >= window.since,
        TrafficPolicy.first_at < window.until,
    )
    return database.scalar(query) or 0


def _feedback(database: Database, evaluator: str, window: Window) -> tuple[int, int]:
    query = (
        select(TrafficFeedback.good, func.count())
        .where(
            TrafficFeedback.evaluator == evaluator,
            TrafficFeedback.at.between(window.since, window.until),
        )
        .group_by(TrafficFeedback.good)
    )
    counts = {bool(good): count for good, count in database.rows(query)}
    return counts.get(True, 0), counts.get(False, 0)
