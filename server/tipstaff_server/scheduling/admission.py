"""Admission: takes in the requests that will be answered in time, and refuses the others.

Pure, like the scheduler: the time is passed in.

Workers take requests in order of their deadlines, and none is idle while a request waits. So when a
request starts, the workers have done at most what they were running plus the work queued ahead of
it, W. It starts no later than `(their remaining seconds + W) / workers`, and no later than W after
the first worker is free. With the lesser of these two bounds, a request is refused if it would

- miss its own deadline, or
- make an admitted request miss a deadline that it would otherwise have met: an admission is a
  promise. A later deadline pushes nobody back, so for most requests this check costs nothing; for
  the others it is one pass over the queue's columns.

A request of several runs has an entry for each, with one deadline, so that workers share its runs
and other requests may go between them. Its entries are admitted together or not at all, each
reckoned behind those before it. The bounds put the end of several runs on several workers up to one
run too late. So a request that goes next is admitted by the workers' exact plan, and the entries
near the front of the queue are held to that plan too.

As far as predicted times hold, every admitted request of a model that isn't batchable is answered
in time, whatever comes later. For a batchable model the work is a request's share of a run of the
best size, and time is reserved for such a run. Otherwise a full queue would leave each request just
enough time to run alone, which is slowest for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heapreplace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from tipstaff_server.errors import DeadlineUnreachable, Overloaded
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry

Floats = npt.NDArray[np.float64]

# The shortest pause that a refusal advises, in seconds.
_SOONEST_RETRY = 0.01
# Entries at the front of the queue that the exact plan covers: planning them takes 10 us.
_FRONT = 32


def admit(
    entries: Sequence[Entry],
    queue: DeadlineQueue,
    busy_until: Sequence[float],
    *,
    arrived: float,
    now: float,
    capacity: int,
    reserved: float = 0.0,
) -> None:
    """Raises unless a request may be queued.

    Args:
        entries: One for each of its runs, with their predicted times and the same deadline; not yet
            in the queue.
        queue: What is waiting.
        busy_until: For each worker, when its run is predicted to end; the past for an idle one.
        arrived: When the request would have come here on an idle server.
        now: The time.
        capacity: Most entries that may wait before the request's own.
        reserved: Share of the workers' time to leave to requests that are yet to come, below 1.

    Raises:
        DeadlineUnreachable: It would have been late even on an idle server.
        Overloaded: The queue is full, or too long for its deadline or for those already admitted.
    """
    deadline = entries[0].deadline
    _check_reachable(entries, len(busy_until), arrived)
    remaining = [max(0.0, end - now) for end in busy_until]
    if len(queue) >= capacity:
        backlog = (sum(remaining) + queue.cost_seconds) / len(remaining)
        raise _overloaded(
            f"{len(queue)} requests are waiting, and {capacity} may", "queue_full", backlog
        )

    position = queue.position(deadline)
    behind, work_ahead = None, queue.cost_seconds
    if position < len(queue):
        behind = queue.behind(position)
        work_ahead -= float(behind[1].sum())
    starts = _predicted_starts(entries, remaining, work_ahead, goes_next=position == 0)
    ends = (start + entry.run_seconds for start, entry in zip(starts, entries, strict=True))
    lateness = now + max(ends) / (1 - reserved) - deadline
    if lateness > 0:
        raise _overloaded(f"would be {lateness * 1e3:.1f} ms late", "deadline", lateness)
    if behind is not None:
        _check_those_behind(entries, queue, position, behind, work_ahead, remaining, now)


def _check_reachable(entries: Sequence[Entry], workers: int, arrived: float) -> None:
    """Raises DeadlineUnreachable if a request would be late even on an idle server."""
    deadline = entries[0].deadline
    idle_seconds = _seconds_on_idle_server(entries, workers)
    if arrived + idle_seconds > deadline or arrived >= deadline:
        tokens = sum(entry.length for entry in entries)
        runs = f" in {len(entries)} runs" if len(entries) > 1 else ""
        raise DeadlineUnreachable(
            f"needs about {idle_seconds * 1e3:.1f} ms for {tokens} tokens{runs}, and the deadline "
            f"left {max(0.0, deadline - arrived) * 1e3:.1f} ms: allow more time"
        )


def _check_those_behind(
    entries: Sequence[Entry],
    queue: DeadlineQueue,
    position: int,
    behind: tuple[Floats, Floats],
    work_ahead: float,
    remaining: Sequence[float],
    now: float,
) -> None:
    """Raises Overloaded if a request would make others late that would be in time without it.

    Args:
        entries: The request's.
        queue: What is waiting.
        position: Where the request goes in the queue.
        behind: Latest starts and costs of the entries from there on, each of shape (n,).
        work_ahead: Seconds of work in the queue before that position.
        remaining: Seconds for which each worker is still busy.
        now: The time.
    """
    latest_starts, costs = behind
    workers, first, total = len(remaining), min(remaining), sum(remaining)
    # Slack: how much more work may be queued ahead of each entry before it is late.
    allowed = np.maximum(latest_starts - (now + first), (latest_starts - now) * workers - total)
    slack = allowed - (work_ahead + np.cumsum(costs) - costs)
    own = [entry.cost_seconds for entry in entries]
    added = sum(own)
    # An entry that is late already can't be made late.
    before, after = slack >= 0, slack >= added
    if not after.all():
        front = queue.behind(0)[1][:_FRONT].tolist()
        planned = len(front[position:])
        old = _planned_starts(front, remaining)[position:]
        new = _planned_starts([*front[:position], *own, *front[position:]], remaining)
        before[:planned] |= np.array(old) <= latest_starts[:planned] - now
        after[:planned] |= np.array(new[position + len(own) :]) <= latest_starts[:planned] - now
    broken = before & ~after
    if broken.any():
        raise _overloaded(
            "would make requests that were admitted before it late",
            "deadline",
            float(np.max(added - slack[broken])) / workers,
        )


def _seconds_on_idle_server(entries: Sequence[Entry], workers: int) -> float:
    """How long a request takes from its arrival when nothing else runs."""
    if len(entries) == 1:
        return entries[0].solo_seconds
    starts = _planned_starts([entry.cost_seconds for entry in entries], [0.0] * workers)
    # By their costs, not their solo seconds: the request's own runs may share one.
    ends = (start + entry.cost_seconds for start, entry in zip(starts, entries, strict=True))
    return max(*ends, *(entry.solo_seconds for entry in entries))


def _predicted_starts(
    entries: Sequence[Entry], remaining: Sequence[float], work_ahead: float, *, goes_next: bool
) -> list[float]:
    """When each run of a request starts at the latest, in seconds from now.

    Args:
        entries: The request's.
        remaining: Seconds for which each worker is still busy.
        work_ahead: Seconds of work in the queue before the request.
        goes_next: Whether no entry is ahead of it: the exact plan holds then.
    """
    if goes_next:
        return _planned_starts([entry.cost_seconds for entry in entries], remaining)
    workers, first, total = len(remaining), min(remaining), sum(remaining)
    ahead = [work_ahead + cost for cost in _costs_before(entries)]
    return [min(first + work, (total + work) / workers) for work in ahead]


def _costs_before(entries: Sequence[Entry]) -> Iterator[float]:
    """For each run of a request, the cost of its runs before that one."""
    return accumulate((entry.cost_seconds for entry in entries[:-1]), initial=0.0)


def _planned_starts(costs: Sequence[float], remaining: Sequence[float]) -> list[float]:
    """When runs that go next, in this order, start.

    Args:
        costs: Seconds of each run.
        remaining: Seconds for which each worker is still busy.
    """
    free, starts = list(remaining), []
    heapify(free)
    for cost in costs:
        starts.append(free[0])
        heapreplace(free, free[0] + cost)
    return starts


def _overloaded(why: str, reason: str, retry_after: float) -> Overloaded:
    retry_after = max(retry_after, _SOONEST_RETRY)
    return Overloaded(
        f"{why}: try again in {retry_after * 1e3:.0f} ms", reason=reason, retry_after=retry_after
    )
