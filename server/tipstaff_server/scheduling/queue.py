"""The queue: entries in order of their deadlines."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sized
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tipstaff_server.scheduling.model import Model
from tipstaff_server.scheduling.run_result import RunResult


@dataclass(eq=False, slots=True, weakref_slot=True)
class Entry:
    """One run that is waiting; all times are seconds on the dispatcher's clock.

    Attributes:
        model: The model that runs it.
        item: The model's input.
        deadline: When its result must be there.
        submitted: When it was queued.
        solo_seconds: Predicted seconds of a run of this item alone.
        run_seconds: Predicted seconds of the run it will be in, batch-mates included.
        cost_seconds: Its share of that run: the seconds of a worker that it costs.
        future: Resolves with its result.
        length: The item's tokens.
    """

    model: Model[Any]
    item: Sized
    deadline: float
    submitted: float
    solo_seconds: float = 0.0
    run_seconds: float = 0.0
    cost_seconds: float = 0.0
    future: Future[RunResult] = field(default_factory=Future, repr=False)
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.length = len(self.item)

    @property
    def latest_start(self) -> float:
        """The latest time at which its run can start and still end by the deadline."""
        return self.deadline - self.run_seconds


class DeadlineQueue:
    """Entries by deadline, the earliest first; equal deadlines in order of arrival.

    A sorted list. Insertion and removal move eight bytes for each later entry, which for ten
    thousand entries is quicker than a heap's comparisons, and a list can be walked in order.

    Attributes:
        cost_seconds: The sum of all entries' costs.
        waiting: Number of entries for each model.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        # Columns of the same rows, so that admission can compute with all of them at once.
        self._deadlines = array("d")
        self._latest_starts = array("d")
        self._costs = array("d")
        self.cost_seconds = 0.0
        self.waiting: Counter[Model[Any]] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    @property
    def earliest(self) -> float:
        """The earliest deadline; infinity when empty."""
        return self._deadlines[0] if self._entries else math.inf

    def position(self, deadline: float) -> int:
        """The index at which an entry with this deadline would be inserted."""
        return bisect_right(self._deadlines, deadline)

    def behind(self, position: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Latest starts and costs of the entries from a position on, each of shape (n,)."""
        # Slices are copies: an array can't grow while anybody holds a view of it.
        return np.frombuffer(self._latest_starts[position:]), np.frombuffer(self._costs[position:])

    def insert(self, entry: Entry) -> None:
        """Inserts an entry after those with its deadline or an earlier one."""
        index = self.position(entry.deadline)
        self._entries.insert(index, entry)
        self._deadlines.insert(index, entry.deadline)
        self._latest_starts.insert(index, entry.latest_start)
        self._costs.insert(index, entry.cost_seconds)
        self.cost_seconds += entry.cost_seconds
        self.waiting[entry.model] += 1

    def pop(self, index: int = 0) -> Entry:
        """Takes out the entry at an index, by default the earliest."""
        entry = self._entries.pop(index)
        self._deadlines.pop(index)
        self._latest_starts.pop(index)
        self._costs.pop(index)
        # Reset to zero whenever the queue is empty, so that rounding errors don't add up.
        self.cost_seconds = self.cost_seconds - entry.cost_seconds if self._entries else 0.0
        self.waiting[entry.model] -= 1
        if not self.waiting[entry.model]:
            del self.waiting[entry.model]
        return entry

    def remove(self, entry: Entry) -> bool:
        """Takes out one entry; False if it has left the queue."""
        for index in range(bisect_left(self._deadlines, entry.deadline), len(self)):
            if self._entries[index] is entry:
                self.pop(index)
                return True
            if self._deadlines[index] > entry.deadline:
                break
        return False
