"""Which requests are taken in: those that will be answered in time. Pure, like the scheduler.

Lanes take requests in order of their deadlines and none is idle while one waits. So when a request
starts, the lanes have done at most what they were running plus the work queued before it, W: it
starts no later than `(their remaining seconds + W) / lanes`, and no later than W after the first
lane is free. By the lesser of the two, a request is refused that would

- miss its own deadline, or
- make a request that was admitted before it miss a deadline it would otherwise have met: an
  admission is a promise. A later deadline pushes nobody back, so for most requests this costs
  nothing; for the others it is one pass over the queue's columns.

As far as predicted times hold, every admitted request of a model that isn't batchable is answered
in time, whatever comes later. For a batchable one the work is its share of a run of the best size,
and time is kept for such a run, so that a full queue doesn't leave each request just enough time to
run alone, which would be slowest for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tipstaff_server.batching.queue import DeadlineQueue, Entry
from tipstaff_server.errors import DeadlineUnreachable, Overloaded

# Seconds; sooner than this it isn't worth trying again.
_SOONEST_RETRY = 0.01


def admit(
    entry: Entry,
    queue: DeadlineQueue,
    busy_until: Sequence[float],
    *,
    arrived: float,
    now: float,
    capacity: int,
) -> None:
    """Raises unless `entry` may be queued.

    Args:
        entry: With its predicted times; not yet in the queue.
        queue: What is waiting.
        busy_until: For each lane, when its run is predicted to end; the past for an idle one.
        arrived: When the request would have come here on an idle server.
        now: The time.
        capacity: Entries that may wait, at most.

    Raises:
        DeadlineUnreachable: It would have been late even with the server to itself.
        Overloaded: The queue is full, or too long for its deadline or for those already admitted.
    """
    if arrived + entry.alone > entry.deadline or arrived >= entry.deadline:
        raise DeadlineUnreachable(
            f"needs about {entry.alone * 1e3:.1f} ms for {entry.length} tokens, and the deadline "
            f"left {max(0.0, entry.deadline - arrived) * 1e3:.1f} ms: allow more time"
        )

    remaining = [max(0.0, end - now) for end in busy_until]
    lanes, first, total = len(remaining), min(remaining), sum(remaining)
    if len(queue) >= capacity:
        backlog = (total + queue.work) / lanes
        raise _overloaded(
            f"{len(queue)} requests are waiting, the most allowed", "queue_full", backlog
        )

    position = queue.position(entry.deadline)
    work_ahead = queue.work
    if position < len(queue):
        latest_starts, work = queue.behind(position)
        work_ahead -= float(work.sum())
    start = now + min(first + work_ahead, (total + work_ahead) / lanes)
    lateness = start + entry.run - entry.deadline
    if lateness > 0:
        raise _overloaded(f"would be {lateness * 1e3:.1f} ms late", "deadline", lateness)

    if position < len(queue):
        # The work that may go before each without making it late, less the work that does.
        allowed = np.maximum(latest_starts - (now + first), (latest_starts - now) * lanes - total)
        spare = allowed - (work_ahead + np.cumsum(work) - work)
        # Those late already can't be made late.
        shortage = float(np.max(entry.work - spare, where=spare >= 0, initial=0.0))
        if shortage > 0:
            raise _overloaded(
                "would make requests that were admitted before it late",
                "deadline",
                shortage / lanes,
            )


def _overloaded(why: str, reason: str, retry_after: float) -> Overloaded:
    retry_after = max(retry_after, _SOONEST_RETRY)
    return Overloaded(
        f"{why}: try again in {retry_after * 1e3:.0f} ms", reason=reason, retry_after=retry_after
    )
