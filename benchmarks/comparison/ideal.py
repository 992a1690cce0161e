"""An ideal queue: only dropping work or reordering it by length can be faster."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def ideal_latencies(
    arrivals: Sequence[float], service: Sequence[float], servers: int
) -> list[float]:
    """Computes latencies of a first-come, first-served queue (G/G/c) without overhead.

    With the same deadline for every request, this is earliest deadline first. Lindley's recursion,
    where each request goes to the server that is free first.

    Args:
        arrivals: When each request comes, in seconds, ascending.
        service: How long each request takes alone, in seconds.
        servers: The number of requests that run at a time.
    """
    free_at = [0.0] * servers
    latencies = []
    for arrival, seconds in zip(arrivals, service, strict=True):
        end = max(arrival, heapq.heappop(free_at)) + seconds
        heapq.heappush(free_at, end)
        latencies.append(end - arrival)
    return latencies
