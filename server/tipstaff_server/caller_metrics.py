"""Metrics by caller, and of the files that say who may ask.

Callers that name themselves may be any number, so only the busiest have a series of their own. The
others count as `other`. A caller that overtakes a named one takes its place: the figures of the one
that leaves are added to `other`, so every series only grows, and their sum is that of all calls.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

OTHER = "other"
# Callers whose recent use is known, for each that is named.
_CANDIDATES = 10
# Seconds after which a third of a caller's recent use counts.
_FADE_SECONDS = 300.0
# How much busier a caller must be than a named one to take its place.
_BUSIER = 2.0


class CallerMetrics(Collector):
    """Counts interactions by caller and code. Safe to use from several threads."""

    def __init__(self, *, named: int = 20, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = named
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}
        self._other: Counter[str] = Counter()
        self._recent: dict[str, float] = {}
        self._faded_at = clock()

    def answered(self, caller: str, code: str) -> None:
        """Counts one interaction."""
        with self._lock:
            self._fade()
            self._recent[caller] = self._recent.get(caller, 0.0) + 1.0
            own = self._own(caller)
            (self._other if own is None else own)[code] += 1

    def collect(self) -> Iterator[Metric]:
        """The series, for a scrape."""
        family = CounterMetricFamily(
            "tipstaff_caller_requests",
            "Interactions by caller and gRPC code; all but the busiest callers are other.",
            labels=("caller", "code"),
        )
        with self._lock:
            for name, counts in [*self._counts.items(), (OTHER, self._other)]:
                for code, count in counts.items():
                    family.add_metric((name, code), count)
        yield family

    def _own(self, caller: str) -> Counter[str] | None:
        """The counts of a caller that is named; None for the others."""
        counts = self._counts.get(caller)
        # A caller of that name would be taken for the rest.
        if counts is not None or not self._most or caller == OTHER:
            return counts
        if len(self._counts) >= self._most:
            least = min(self._counts, key=lambda name: self._recent.get(name, 0.0))
            if self._recent[caller] <= _BUSIER * self._recent.get(least, 0.0) + 1:
                return None
            self._other += self._counts.pop(least)
        counts = self._counts[caller] = Counter()
        return counts

    def _fade(self) -> None:
        now = self._clock()
        crowded = len(self._recent) > _CANDIDATES * max(1, self._most)
        if now - self._faded_at < _FADE_SECONDS and not crowded:
            return
        factor = 1 / 3 if now - self._faded_at >= _FADE_SECONDS else 1.0
        kept = sorted(self._recent, key=self._recent.__getitem__, reverse=True)
        self._recent = {
            name: self._recent[name] * factor for name in kept[: (_CANDIDATES // 2) * self._most]
        }
        if factor < 1:
            self._faded_at = now


class AccessMetrics:
    """What the files that say who may ask are like."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stale = Gauge(
            "tipstaff_access_files_stale",
            "One while these files can't be used, and what they held before stays in force.",
            ("files",),
            registry=registry,
        )
        self._expiry = Gauge(
            "tipstaff_certificate_expiry_timestamp_seconds",
            "When the server's certificate expires, in seconds since 1970; 0 without TLS.",
            registry=registry,
        )

    def watch(self, files: str, stale: Callable[[], bool]) -> None:
        """Exports whether files are stale, read at each scrape."""
        self._stale.labels(files).set_function(lambda: float(stale()))

    def watch_expiry(self, expires: Callable[[], float]) -> None:
        """Exports when the certificate expires, read at each scrape."""
        self._expiry.set_function(expires)
