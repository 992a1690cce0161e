"""The queue: entries in order of their deadlines."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sized
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tipstaff_server.scheduling.answer import Answer
from tipstaff_server.scheduling.model import Model


@dataclass(eq=False, slots=True, weakref_slot=True)
class Entry:
    """One request; all times are seconds on the dispatcher's clock.

    Attributes:
        model: What is to run it.
        item: What it is to run.
        deadline: When its answer must be there.
        submitted: When it came.
        alone: Predicted seconds of a run of this item only.
        run: Predicted seconds of the run it will be in, batch-mates included.
        work: Predicted seconds of a lane that it costs: its share of that run.
        future: Where its answer goes.
        length: Its tokens.
    """

    model: Model[Any]
    item: Sized
    deadline: float
    submitted: float
    alone: float = 0.0
    run: float = 0.0
    work: float = 0.0
    future: Future[Answer] = field(default_factory=Future, repr=False)
    length: int = field(init=False)

    def __post_init__(self) -> None:
        self.length = len(self.item)

    @property
    def latest_start(self) -> float:
        """From when on its run would end too late."""
        return self.deadline - self.run


class DeadlineQueue:
    """Entries by deadline, the earliest first; equal deadlines in order of arrival.

    A sorted list: insertion and removal move eight bytes for each entry behind, which takes less
    time for ten thousand entries than the comparisons of a heap, and lets the order be walked.

    Attributes:
        work: Of all entries, in seconds of a lane.
        waiting: How many entries there are for each model.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        # Columns of the same rows, so that admission can reckon with all of them at once.
        self._deadlines = array("d")
        self._latest_starts = array("d")
        self._work = array("d")
        self.work = 0.0
        self.waiting: Counter[Model[Any]] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    @property
    def earliest(self) -> float:
        """The earliest deadline; infinity when empty."""
        return self._deadlines[0] if self._entries else math.inf

    def position(self, deadline: float) -> int:
        """How many entries go before one with this deadline."""
        return bisect_right(self._deadlines, deadline)

    def behind(self, position: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The latest start and the work of the entries from a position on, each of shape (n,)."""
        # Slices are copies: a view would forbid the array to grow while anybody holds it.
        return np.frombuffer(self._latest_starts[position:]), np.frombuffer(self._work[position:])

    def insert(self, entry: Entry) -> None:
        """Puts an entry behind those with its deadline or an earlier one."""
        index = self.position(entry.deadline)
        self._entries.insert(index, entry)
        self._deadlines.insert(index, entry.deadline)
        self._latest_starts.insert(index, entry.latest_start)
        self._work.insert(index, entry.work)
        self.work += entry.work
        self.waiting[entry.model] += 1

    def pop(self, index: int = 0) -> Entry:
        """Takes out the entry at an index, by default the earliest."""
        entry = self._entries.pop(index)
        self._deadlines.pop(index)
        self._latest_starts.pop(index)
        self._work.pop(index)
        # Starts from zero again whenever it can, so that rounding errors don't add up.
        self.work = self.work - entry.work if self._entries else 0.0
        self.waiting[entry.model] -= 1
        if not self.waiting[entry.model]:
            del self.waiting[entry.model]
        return entry

    def remove(self, entry: Entry) -> bool:
        """Takes out one entry; False when it is not there."""
        for index in range(bisect_left(self._deadlines, entry.deadline), len(self)):
            if self._entries[index] is entry:
                self.pop(index)
                return True
            if self._deadlines[index] > entry.deadline:
                break
        return False
