"""Which requests are taken in: those that will be answered in time. Pure, like the scheduler.

Lanes take requests in order of their deadlines and none is idle while one waits. So when a request
starts, the lanes have done at most what they were running plus the work queued before it, W: it
starts no later than `(their remaining seconds + W) / lanes`, and no later than W after the first
lane is free. By the lesser of the two, a request is refused that would

- miss its own deadline, or
- make a request that was admitted before it miss a deadline it would otherwise have met: an
  admission is a promise. A later deadline pushes nobody back, so for most requests this costs
  nothing; for the others it is one pass over the queue's columns.

A request of several runs has an entry for each, with one deadline, so that lanes share it and
others may go between. They are admitted together or not at all, each reckoned behind those before.
By the bounds above several runs on several lanes end up to a run later than they do. So a request
that goes next is admitted by the lanes' exact plan, and who is near the front is held to it, too.

As far as predicted times hold, every admitted request of a model that isn't batchable is answered
in time, whatever comes later. For a batchable one the work is its share of a run of the best size,
and time is kept for such a run, so that a full queue doesn't leave each request just enough time to
run alone, which would be slowest for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heapreplace
from itertools import accumulate

import numpy as np

from tipstaff_server.errors import DeadlineUnreachable, Overloaded
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry

# Seconds; sooner than this it isn't worth trying again.
_SOONEST_RETRY = 0.01
# Entries at the front of the queue for which the exact plan is made: 10 us for as many.
_FRONT = 32


def admit(
    entries: Sequence[Entry],
    queue: DeadlineQueue,
    busy_until: Sequence[float],
    *,
    arrived: float,
    now: float,
    capacity: int,
) -> None:
    """Raises unless a request may be queued.

    Args:
        entries: One for each of its runs, with their predicted times and the same deadline; not yet
            in the queue.
        queue: What is waiting.
        busy_until: For each lane, when its run is predicted to end; the past for an idle one.
        arrived: When the request would have come here on an idle server.
        now: The time.
        capacity: Entries that may wait before the request's own, at most.

    Raises:
        DeadlineUnreachable: It would have been late even with the server to itself.
        Overloaded: The queue is full, or too long for its deadline or for those already admitted.
    """
    deadline = entries[0].deadline
    alone = _alone(entries, len(busy_until))
    if arrived + alone > deadline or arrived >= deadline:
        tokens = sum(entry.length for entry in entries)
        runs = f" in {len(entries)} runs" if len(entries) > 1 else ""
        raise DeadlineUnreachable(
            f"needs about {alone * 1e3:.1f} ms for {tokens} tokens{runs}, and the deadline "
            f"left {max(0.0, deadline - arrived) * 1e3:.1f} ms: allow more time"
        )

    remaining = [max(0.0, end - now) for end in busy_until]
    lanes, first, total = len(remaining), min(remaining), sum(remaining)
    if len(queue) >= capacity:
        backlog = (total + queue.work) / lanes
        raise _overloaded(
            f"{len(queue)} requests are waiting, the most allowed", "queue_full", backlog
        )

    position = queue.position(deadline)
    work_ahead = queue.work
    if position < len(queue):
        latest_starts, work = queue.behind(position)
        work_ahead -= float(work.sum())
    if position:
        behind = [work_ahead + work for work in _before(entries)]
        starts = [min(first + work, (total + work) / lanes) for work in behind]
    else:
        starts = _starts([entry.work for entry in entries], remaining)
    ends = (start + entry.run for start, entry in zip(starts, entries, strict=True))
    lateness = now + max(ends) - deadline
    if lateness > 0:
        raise _overloaded(f"would be {lateness * 1e3:.1f} ms late", "deadline", lateness)

    if position < len(queue):
        # The work that may go before each without making it late, less the work that does.
        allowed = np.maximum(latest_starts - (now + first), (latest_starts - now) * lanes - total)
        spare = allowed - (work_ahead + np.cumsum(work) - work)
        own = [entry.work for entry in entries]
        added = sum(own)
        # Those late already can't be made late.
        before, after = spare >= 0, spare >= added
        if not after.all():
            front = queue.behind(0)[1][:_FRONT].tolist()
            held = len(front[position:])
            planned = _starts(front, remaining)[position:]
            anew = _starts([*front[:position], *own, *front[position:]], remaining)
            before[:held] |= np.array(planned) <= latest_starts[:held] - now
            after[:held] |= np.array(anew[position + len(own) :]) <= latest_starts[:held] - now
        broken = before & ~after
        if broken.any():
            raise _overloaded(
                "would make requests that were admitted before it late",
                "deadline",
                float(np.max(added - spare[broken])) / lanes,
            )


def _alone(entries: Sequence[Entry], lanes: int) -> float:
    """Seconds that a request takes an idle server."""
    if len(entries) == 1:
        return entries[0].alone
    starts = _starts([entry.work for entry in entries], [0.0] * lanes)
    # In company, where its runs may share one.
    ends = (start + entry.work for start, entry in zip(starts, entries, strict=True))
    return max(*ends, *(entry.alone for entry in entries))


def _before(entries: Sequence[Entry]) -> Iterator[float]:
    """For each run of a request, the work of those before it."""
    return accumulate((entry.work for entry in entries[:-1]), initial=0.0)


def _starts(works: Sequence[float], remaining: Sequence[float]) -> list[float]:
    """When runs that go next start, one after the other, if lanes are busy for so many seconds."""
    free, starts = list(remaining), []
    heapify(free)
    for work in works:
        starts.append(free[0])
        heapreplace(free, free[0] + work)
    return starts


def _overloaded(why: str, reason: str, retry_after: float) -> Overloaded:
    retry_after = max(retry_after, _SOONEST_RETRY)
    return Overloaded(
        f"{why}: try again in {retry_after * 1e3:.0f} ms", reason=reason, retry_after=retry_after
    )
