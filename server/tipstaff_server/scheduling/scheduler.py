"""Which requests run together, and when. Pure: no threads, and the time is passed in.

The policy, all of it:

- The earliest deadline runs first, as soon as a lane asks; nobody waits for batch-mates to come.
- A request joins that run when both are for one model that is batchable, the run stays within the
  limits on size, tokens and padding, it saves a good part of what it would cost alone, and the
  earliest deadline is still met. Every other member's is then met too, being later.
- A request that would be late even if it ran at once is dropped, not run. So is one that has no
  time left for the run that was reckoned with when it was admitted, while as many still wait: to
  run it alone would make many of those late, each of which would then run alone and late too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tipstaff_server.scheduling.cost import CostModel
from tipstaff_server.scheduling.model import Model
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry

# Of what a request would cost alone, what it may cost in company. Joining for less than this
# delays the others of the run for next to nothing, and would leave other lanes without work.
_WORTHWHILE = 0.9
# How far beyond the largest batch to look for company, so that forming one takes bounded time.
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
class Batch:
    """Entries that run together.

    Attributes:
        model: Of all of them.
        entries: By deadline, the earliest first.
        seconds: Predicted for the run.
    """

    model: Model[Any]
    entries: tuple[Entry, ...]
    seconds: float


class Scheduler:
    """The queue, and the policy by which it becomes batches."""

    def __init__(self, costs: CostModel, limits: BatchLimits) -> None:
        self.queue = DeadlineQueue()
        self._costs = costs
        self._limits = limits

    def __len__(self) -> int:
        return len(self.queue)

    def estimate(self, entry: Entry, now: float) -> None:
        """Notes on an entry what it will take, before it is admitted and pushed."""
        costs, model, length = self._costs, entry.model, entry.length
        entry.alone = entry.run = entry.work = costs.seconds(model, 1, length, now)
        best = costs.best_batch(model, length)
        if best > 1:
            entry.run = self._in_company(entry, self.queue.waiting[model] + 1, now)
            entry.work = costs.seconds(model, best, length, now) / best

    def push(self, entry: Entry) -> None:
        """Queues an entry."""
        self.queue.insert(entry)

    def cancel(self, entry: Entry) -> bool:
        """Takes an entry out unrun; False when it has left already."""
        return self.queue.remove(entry)

    def expire(self, now: float) -> list[Entry]:
        """Takes out, unrun, the entries whose deadline has passed."""
        expired = []
        while self.queue.earliest <= now:
            expired.append(self.queue.pop())
        return expired

    def clear(self) -> list[Entry]:
        """Takes out all entries, unrun."""
        return [self.queue.pop() for _ in range(len(self.queue))]

    def take(self, now: float) -> tuple[Batch | None, list[Entry]]:
        """Takes out what is to run now.

        Returns:
            The batch, or None when nothing is left to run; and the entries that were dropped
            because they would have been late.
        """
        late: list[Entry] = []
        while self.queue:
            entry = self.queue[0]
            alone = needed = self._costs.seconds(entry.model, 1, entry.length, now)
            if entry.run > alone:
                company = self._in_company(entry, self.queue.waiting[entry.model], now)
                needed = max(alone, min(entry.run, company))
            if now < entry.deadline and now + needed <= entry.deadline:
                return self._gather(now, alone), late
            late.append(self.queue.pop())
        return None, late

    def _in_company(self, entry: Entry, waiting: int, now: float) -> float:
        """Seconds of the run an entry will be in when so many of its model wait, it included."""
        size = min(waiting, self._costs.best_batch(entry.model, entry.length))
        return self._costs.seconds(entry.model, size, entry.length, now)

    def _gather(self, now: float, seconds: float) -> Batch:
        """The earliest entry, which takes `seconds` alone, and those that join it."""
        limits, first = self._limits, self.queue[0]
        if not first.model.batchable:
            return Batch(first.model, (self.queue.pop(),), seconds)
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
            if now + together > first.deadline or together > seconds + _WORTHWHILE * entry.alone:
                break
            members.append(index)
            longest, tokens = max(longest, entry.length), tokens + entry.length
            seconds = together
        entries = [self.queue.pop(index) for index in reversed(members)]
        return Batch(first.model, tuple(reversed(entries)), seconds)
