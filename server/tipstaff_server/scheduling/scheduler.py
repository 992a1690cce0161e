"""Which requests run together, and when. Pure: no threads, and the time is passed in.

The policy, all of it:

- The earliest deadline runs first, as soon as a worker asks. No request waits for batch-mates.
- Another request joins that run if both are for the same batchable model, the run stays within the
  limits on size, tokens and padding, joining saves a good part of what it would cost alone, and the
  earliest deadline is still met. The other deadlines are later, so they are met too.
- A request that would be late even if it ran now is dropped without a run. So is one that has no
  time left for the run that admission predicted for it, while as many requests still wait: running
  it alone would make many of them late, and each of those would then run alone and late in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tipstaff_server.scheduling.cost import CostModel
from tipstaff_server.scheduling.model import Model
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry

# A request joins a run only if it adds at most this share of its solo cost. Smaller savings aren't
# worth the delay for the run's other members, and would leave other workers idle.
_WORTHWHILE = 0.9
# How many times the largest batch to look through for members, so that forming one is bounded.
_LOOKAHEAD = 4


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds on a run of a batchable model; a request alone may exceed `tokens`.

    Attributes:
        size: Requests, at least 1.
        tokens: Tokens, padding included.
        padding: Share of the tokens that may be padding, in [0, 1).
    """

    size: int = 32
    tokens: int = 4096
    padding: float = 0.25


DEFAULT_LIMITS = BatchLimits()


@dataclass(frozen=True, slots=True)
class ScheduledBatch:
    """Entries that run together.

    Attributes:
        model: The model of all entries.
        entries: By deadline, the earliest first.
        seconds: The predicted duration of the run.
    """

    model: Model[Any]
    entries: tuple[Entry, ...]
    seconds: float


class Scheduler:
    """The queue, and the policy that forms batches from it."""

    def __init__(self, costs: CostModel, limits: BatchLimits) -> None:
        self.queue = DeadlineQueue()
        self._costs = costs
        self._limits = limits

    def __len__(self) -> int:
        return len(self.queue)

    def estimate(self, entry: Entry, now: float) -> None:
        """Fills in an entry's predicted times, before it is admitted and pushed."""
        costs, model, length = self._costs, entry.model, entry.length
        solo_seconds = costs.seconds(model, 1, length, now)
        entry.solo_seconds = entry.run_seconds = entry.cost_seconds = solo_seconds
        best = costs.best_batch(model, length)
        if best > 1:
            entry.run_seconds = self._shared_run_seconds(entry, self.queue.waiting[model] + 1, now)
            entry.cost_seconds = costs.seconds(model, best, length, now) / best

    def push(self, entry: Entry) -> None:
        """Queues an entry."""
        self.queue.insert(entry)

    def cancel(self, entry: Entry) -> bool:
        """Takes an entry out of the queue; False if it has already left."""
        return self.queue.remove(entry)

    def expire(self, now: float) -> list[Entry]:
        """Takes out the entries whose deadline has passed."""
        expired = []
        while self.queue.earliest <= now:
            expired.append(self.queue.pop())
        return expired

    def clear(self) -> list[Entry]:
        """Takes out all entries."""
        return [self.queue.pop() for _ in range(len(self.queue))]

    def take(self, now: float) -> tuple[ScheduledBatch | None, list[Entry]]:
        """Takes out the next batch.

        Returns:
            The batch, or None if nothing is left to run; and the entries that were dropped because
            they would have been late.
        """
        late: list[Entry] = []
        while self.queue:
            entry = self.queue[0]
            solo = needed = self._costs.seconds(entry.model, 1, entry.length, now)
            if entry.run_seconds > solo:
                shared = self._shared_run_seconds(entry, self.queue.waiting[entry.model], now)
                needed = max(solo, min(entry.run_seconds, shared))
            if now < entry.deadline and now + needed <= entry.deadline:
                return self._form_batch(now, solo), late
            late.append(self.queue.pop())
        return None, late

    def _shared_run_seconds(self, entry: Entry, waiting: int, now: float) -> float:
        """Seconds of the run an entry will be in, if `waiting` entries of its model wait."""
        size = min(waiting, self._costs.best_batch(entry.model, entry.length))
        return self._costs.seconds(entry.model, size, entry.length, now)

    def _form_batch(self, now: float, seconds: float) -> ScheduledBatch:
        """The earliest entry, which takes `seconds` alone, with those that join it."""
        limits, first = self._limits, self.queue[0]
        if not first.model.batchable:
            return ScheduledBatch(first.model, (self.queue.pop(),), seconds)
        members, longest, tokens = [0], first.length, first.length
        for index in range(1, min(len(self.queue), _LOOKAHEAD * limits.size)):
            size = len(members) + 1
            if size > limits.size:
                break
            entry = self.queue[index]
            padded = size * max(longest, entry.length)
            if entry.model is not first.model or padded > limits.tokens:
                continue
            if padded - tokens - entry.length > limits.padding * padded:
                continue
            together = self._costs.seconds(first.model, size, max(longest, entry.length), now)
            added_at_most = _WORTHWHILE * entry.solo_seconds
            if now + together > first.deadline or together > seconds + added_at_most:
                break
            members.append(index)
            longest, tokens = max(longest, entry.length), tokens + entry.length
            seconds = together
        entries = [self.queue.pop(index) for index in reversed(members)]
        return ScheduledBatch(first.model, tuple(reversed(entries)), seconds)
