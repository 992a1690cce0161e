"""What traffic says of an evaluator, for the desk and for Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import exists, func, select

from tipstaff_trainer.monitoring.reviews import Sample
from tipstaff_trainer.monitoring.spikes import Spike, find_all
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import (
    TrafficAttribute,
    TrafficFeedback,
    TrafficPolicy,
    TrafficRow,
)
from tipstaff_trainer.workspace.db.models.traffic import DAY, MINUTE
from tipstaff_trainer.workspace.traffic import totals
from tipstaff_trainer.workspace.traffic.kept import AttributeShare, Latency, read_kept
from tipstaff_trainer.workspace.traffic.rates import (
    Rates,
    rates_by_version,
    rates_over_time,
    to_rates,
    withheld_rates,
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
_ESTIMATED = "how many answers have this attribute is only estimated"


@dataclass(frozen=True, slots=True)
class Chart:
    """A spike of one chart.

    Attributes:
        name: `PASS`, `REVIEW` or `BLOCK` for a verdict's share, `expected_bad` for the mean of
            1 − score.
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
        rates: What reviews say, over the days with reviews; withheld for an attribute.
        days: Days with drawn reviews, and days of the window with answers; 0 for an attribute.
        by_version: The rates of each version with answers, oldest first; empty for an attribute.
        over_time: The rates of each period, with its start in seconds since 1970; empty for an
            attribute.
        picked: Reviewed rows that were not drawn: they train, and are in no rate.
        feedback: Pieces of feedback, good and bad; in a part of the traffic, those on its kept
            rows.
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
    days: Sequence[Cell] = ()
    sample, picked = Sample(), 0
    rates = withheld_rates(_ESTIMATED)
    if window.attribute is None:
        days = totals.read_days(database, evaluator, window)
        sample, picked = read_sample(database, evaluator, dataset, window)
        rates = to_rates(days, sample)
    days_with_answers = {each.start // DAY for each in days}
    bands = _total(cells, lambda each: each.band)
    verdicts = _total(cells, lambda each: each.verdict)
    latency, attributes = read_kept(database, evaluator, window)
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
        rates=rates,
        days=(len(sample.periods & days_with_answers), len(days_with_answers)),
        by_version=rates_by_version(days, sample),
        over_time=rates_over_time(days, sample, window),
        picked=picked,
        feedback=_feedback(database, evaluator, window),
        spikes=spikes,
    )


def _points(cells: Sequence[Cell], step: int) -> list[Point]:
    return _to_points(((each.start, each.verdict, each.n, each.bad) for each in cells), step)


def _points_of_hours(hours: Sequence[totals.Hour], window: Window) -> list[Point]:
    first = window.start
    parts = ((start, verdict, n, bad) for start, verdict, n, bad, _ in hours if start >= first)
    return _to_points(parts, window.step)


def _to_points(parts: Iterable[tuple[int, str, int, float]], step: int) -> list[Point]:
    """The charts' points, from answers by start and verdict: their number and Σ(1 − score)."""
    verdicts: dict[int, dict[str, int]] = {}
    bad: dict[int, float] = {}
    for start, verdict, n, expected_bad in parts:
        at = start - start % step
        counts = verdicts.setdefault(at, {})
        counts[verdict] = counts.get(verdict, 0) + n
        bad[at] = bad.get(at, 0.0) + expected_bad
    return [
        Point(start, sum(counts.values()), counts, bad[start])
        for start, counts in sorted(verdicts.items())
    ]


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
    if window.version is not None or window.caller is not None:
        row = [TrafficRow.evaluator == evaluator, TrafficRow.key == TrafficFeedback.key]
        if window.version is not None:
            row.append(TrafficRow.version == window.version)
        if window.caller is not None:
            row.append(TrafficRow.caller == window.caller)
        query = query.where(exists().where(*row))
    if window.attribute is not None:
        name, value = window.attribute
        query = query.where(
            exists().where(
                TrafficAttribute.evaluator == evaluator,
                TrafficAttribute.key == TrafficFeedback.key,
                TrafficAttribute.name == name,
                TrafficAttribute.value == value,
            )
        )
    counts = {bool(good): count for good, count in database.rows(query)}
    return counts.get(True, 0), counts.get(False, 0)
