"""The queue that no server can beat without dropping work or reordering it by length."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def ideal_latencies(arrivals: Sequence[float], service: Sequence[float], lanes: int) -> list[float]:
    """Latencies of a queue that loses no time: a free lane at once takes who waits longest.

    First come, first served, which is earliest deadline first where all have the same time to
    answer. Lindley's recursion, with the earliest free of several lanes.

    Args:
        arrivals: When each request comes, in seconds, ascending.
        service: How long each takes alone, in seconds.
        lanes: Requests that run at a time.
    """
    free = [0.0] * lanes
    latencies = []
    for arrival, needed in zip(arrivals, service, strict=True):
        end = max(arrival, heapq.heappop(free)) + needed
        heapq.heappush(free, end)
        latencies.append(end - arrival)
    return latencies
