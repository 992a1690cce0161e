"""How often spikes are found where there are none, and how soon where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tipstaff_trainer.monitoring.spikes import HOUR, HourlySeries, find_all

_DAY = 24
_REFERENCE_DAYS = 14


@dataclass(frozen=True, slots=True)
class World:
    """Synthetic traffic of one evaluator.

    Attributes:
        per_hour: Answers in an hour, on average.
        rhythm: How much volume and logit swing over the day.
        spread: Standard deviation of an hour's mean logit, as when other topics come up.
        shift: Added to the logits once the reference is over.
    """

    per_hour: float
    rhythm: float = 0.0
    spread: float = 0.0
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Alarms:
    """What was found in simulated months.

    Attributes:
        per_month: Alarms in 30 days, over all charts together.
        hours: Median hours from the shift to the first alarm; None if under half of the months
            have one.
        found: The share of months with an alarm.
    """

    per_month: float
    hours: float | None
    found: float


def simulate(world: World, *, runs: int, seed: int, days: int = 30) -> Alarms:
    """Counts alarms in simulated traffic.

    Args:
        world: The traffic.
        runs: How often to simulate.
        seed: Of the random numbers.
        days: Days to look for spikes in, after two weeks of reference.
    """
    generator = np.random.default_rng(seed)
    counts, firsts = [], []
    shift_at = _REFERENCE_DAYS * _DAY * HOUR
    for _ in range(runs):
        charts = _charts(world, generator, days)
        delays = [
            spike.found - shift_at
            for spikes in find_all(charts).values()
            for spike in spikes
            if spike.found > shift_at
        ]
        counts.append(len(delays))
        firsts.append(min(delays, default=np.inf) / HOUR)
    median = float(np.median(firsts))
    return Alarms(
        per_month=float(np.mean(counts)) * 30 / days,
        hours=median if np.isfinite(median) else None,
        found=float(np.mean(np.isfinite(firsts))),
    )


def _charts(world: World, generator: np.random.Generator, days: int) -> Mapping[str, HourlySeries]:
    """The charts of an evaluator: the shares of verdicts, and the mean of 1 − score."""
    hours = (_REFERENCE_DAYS + days) * _DAY
    swing = world.rhythm * np.sin(2 * np.pi * np.arange(hours) / _DAY)
    counts = generator.poisson(world.per_hour * np.exp(swing))
    logits = 1.5 + 0.5 * swing
    if world.spread:
        logits = logits + generator.normal(0, world.spread, hours)
    logits = logits + world.shift * (np.arange(hours) >= _REFERENCE_DAYS * _DAY)
    hour = np.repeat(np.arange(hours), counts)
    score = 1 / (1 + np.exp(-generator.normal(np.repeat(logits, counts), 1.5)))
    n = counts.astype(float)

    def series(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> HourlySeries:
        total = np.bincount(hour, values, minlength=hours).astype(float)
        squares = np.bincount(hour, values**2, minlength=hours).astype(float)
        return HourlySeries(0, n, total, squares)

    return {
        "PASS": series((score >= 0.7).astype(float)),
        "REVIEW": series(((score >= 0.3) & (score < 0.7)).astype(float)),
        "BLOCK": series((score < 0.3).astype(float)),
        "expected_bad": series(1 - score),
    }
