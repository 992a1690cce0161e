"""Shares a busy server among callers by weight. Pure: the time is passed in.

What each caller demands is followed: all that it asks, refused or not, in worker seconds a second.
As long as the demands together fit into the workers' time, or one caller is alone, nobody is
refused here. Otherwise the workers' time is split as `water_level` says (max-min fairness by
weight): who demands less than its share gets all of it, and the others divide what is left by their
weights.

A caller that demands more than its share is let in at that pace, with a burst of `_BURST_SECONDS`.
The burst matters as much as the pace: what is let in at once is queued ahead of the others, and is
promised an answer, so a long burst would have them refused for their deadlines. For the same reason
a little time stays unassigned (`_ASSIGNED`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tipstaff_server.errors import Overloaded

# Seconds after which a third of a demand is left.
_FADE_SECONDS = 2.0
# What a caller beyond its share may ask at once, in seconds of its share.
_BURST_SECONDS = 0.1
# Share of the workers' time that is assigned while callers compete.
_ASSIGNED = 0.85
# A caller that demands less than this is no competitor, in worker seconds a second.
_NEGLIGIBLE = 1e-4
# Seconds after which a caller that asks no more is forgotten.
_FORGET_SECONDS = 60.0
# How often shares are reckoned anew, in seconds.
_RENEW_SECONDS = 0.05
# Weight of the newest interaction in the mean of what a caller's cost.
_NEWEST = 0.05


@dataclass(slots=True)
class Load:
    """What one caller demands and has been given.

    Attributes:
        weight: Its weight.
        demand: What it asked, in worker seconds, fading.
        level: What it was given and its share has not paid yet, in worker seconds.
        mean_seconds: What one of its interactions costs, about; 0 before the first.
        share: What it may use, in worker seconds a second; infinity without competition.
        beyond: Whether it demands more than its share.
        asked_at: When it last asked.
        at: When `demand` and `level` were last reckoned.
    """

    weight: float = 1.0
    demand: float = 0.0
    level: float = 0.0
    mean_seconds: float = 0.0
    share: float = math.inf
    beyond: bool = False
    asked_at: float = 0.0
    at: float = 0.0

    def advance(self, now: float) -> None:
        """Brings the figures to a time."""
        seconds = now - self.at
        self.demand *= math.exp(-seconds / _FADE_SECONDS)
        if seconds:
            self.level = max(0.0, self.level - self.share * seconds)
        self.at = now


class FairShare:
    """The shares of all callers.

    Args:
        workers: Worker seconds a second that there are.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._loads: dict[str, Load] = {}
        self._renewed_at = -math.inf
        self._mean_seconds = 0.0

    def admit(self, name: str, weight: float, now: float) -> float:
        """Takes in one interaction of a caller.

        Args:
            name: The caller's.
            weight: Its weight.
            now: The time in seconds.

        Returns:
            What it will cost, about, in worker seconds. It counts as given: see `settle`.

        Raises:
            Overloaded: The caller has used up its share while others ask, too.
        """
        load = self._ask(name, weight, 1, now)
        cost = load.mean_seconds or self._mean_seconds
        self._check(load, cost)
        load.level += cost
        return cost

    def check(self, name: str, weight: float, count: int, now: float) -> None:
        """Refuses a call of several interactions whose first would be refused by `admit`.

        So a flood of large calls costs one refusal a call. What is refused counts as demanded.

        Raises:
            Overloaded: As for `admit`.
        """
        load = self._loads.get(name)
        if load is None or not load.beyond:
            return
        load.advance(now)
        try:
            self._check(load, load.mean_seconds)
        except Overloaded:
            self._ask(name, weight, count, now)
            raise

    def _ask(self, name: str, weight: float, count: int, now: float) -> Load:
        """Counts what is asked, and reckons the shares anew from time to time."""
        load = self._loads.get(name)
        if load is None:
            load = self._loads[name] = Load(at=now)
        load.weight = weight
        load.asked_at = now
        load.advance(now)
        load.demand += count * (load.mean_seconds or self._mean_seconds)
        if now - self._renewed_at >= _RENEW_SECONDS:
            self._renew(now)
        return load

    def _check(self, load: Load, cost: float) -> None:
        # The first after a pause is always let in.
        over = load.level + cost - max(cost, load.share * _BURST_SECONDS)
        if load.beyond and over > 0:
            raise Overloaded(
                "this caller has used its share of the server, and others ask, too",
                reason="caller_share",
                retry_after=min(1.0, max(_RENEW_SECONDS, over / load.share)),
            )

    def settle(self, name: str, expected: float, spent: float | None, now: float) -> None:
        """Puts what an interaction cost in the place of what was expected.

        Args:
            name: The caller's.
            expected: What `admit` returned.
            spent: Worker seconds; None if it was never run.
            now: The time in seconds.
        """
        load = self._loads.get(name)
        if load is None:
            return
        load.advance(now)
        load.level = max(0.0, load.level + (spent or 0.0) - expected)
        if spent is not None:
            load.mean_seconds = _renewed(load.mean_seconds, spent)
            self._mean_seconds = _renewed(self._mean_seconds, spent)

    def charge(self, name: str, seconds: float, now: float) -> None:
        """Counts worker seconds that an interaction took beyond what was settled."""
        if (load := self._loads.get(name)) is not None:
            load.advance(now)
            load.level += seconds
            load.demand += seconds

    def _renew(self, now: float) -> None:
        """Reckons the shares, and forgets callers that ask no more."""
        self._renewed_at = now
        for load in self._loads.values():
            load.advance(now)
        self._loads = {
            name: load
            for name, load in self._loads.items()
            if now - load.asked_at < _FORGET_SECONDS
        }
        loads = [load for load in self._loads.values() if load.demand > _NEGLIGIBLE * _FADE_SECONDS]
        demands = [load.demand / _FADE_SECONDS for load in loads]
        time = _ASSIGNED * self._workers
        competing = len(loads) > 1 and sum(demands) > time
        level = water_level(demands, [load.weight for load in loads], time) if competing else None
        for load in self._loads.values():
            load.share = math.inf if level is None else max(level * load.weight, _NEGLIGIBLE)
            load.beyond = load.demand / _FADE_SECONDS > load.share


def water_level(demands: Sequence[float], weights: Sequence[float], time: float) -> float:
    """The share for each unit of weight that uses up the time: max-min fairness.

    Args:
        demands: What each caller demands, shape (callers,); more than `time` together.
        weights: Their weights, shape (callers,), above 0.
        time: What there is to share, above 0.

    Returns:
        The level. Each caller gets the lesser of its demand and level times weight.
    """
    left, weight_left = time, sum(weights)
    for demand, weight in sorted(
        zip(demands, weights, strict=True), key=lambda pair: pair[0] / pair[1]
    ):
        if demand * weight_left > left * weight:
            break
        left -= demand
        weight_left -= weight
    return left / weight_left


def _renewed(mean: float, newest: float) -> float:
    return newest if not mean else mean + _NEWEST * (newest - mean)
