"""Keeps room for short requests beside long ones.

An admission is a promise, so that one long request after another could take all of the workers'
time, and the short ones that come later would be refused. A request of several runs is therefore
admitted only into the time that requests of one run leave, as far as the latest seconds tell. Those
that were refused as overload count too.
"""

from __future__ import annotations

import math

# For how long a request counts: its weight falls to 1/e in this time.
_SECONDS = 2.0
# Requests come in bursts: so many times their mean share is reserved, up to a limit.
_BURSTS = 2.0
_MOST = 0.5


class Reserve:
    """The share of the workers' time that is kept for requests of one run.

    Args:
        workers: The number of workers.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._recent = 0.0  # seconds of work, each weighted by its age
        self._updated = -math.inf

    def add(self, cost_seconds: float, now: float) -> None:
        """Counts a request of one run, admitted or refused."""
        self._recent = self._weighted(now) + cost_seconds
        self._updated = now

    def share(self, now: float) -> float:
        """The share to keep free, from 0 to a half."""
        return min(_MOST, _BURSTS * self._weighted(now) / _SECONDS / self._workers)

    def _weighted(self, now: float) -> float:
        return self._recent * math.exp(min(0.0, self._updated - now) / _SECONDS)
