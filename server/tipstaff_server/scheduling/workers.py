"""The threads that run batches."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tipstaff_server.scheduling.answer import Answer
from tipstaff_server.scheduling.cost import CostModel
from tipstaff_server.scheduling.events import BatchRan, LaneReplaced, Observe
from tipstaff_server.scheduling.model import Outputs
from tipstaff_server.scheduling.outcome import answer, claim, expire, fail, notify
from tipstaff_server.scheduling.queue import Entry
from tipstaff_server.scheduling.scheduler import Batch

_log = logging.getLogger(__name__)
# Seconds before a lane whose code raised goes on: a fault that repeats must not burn a core.
_PAUSE = 0.05
# How much nicer a lane is than the threads that take requests in and give answers out. More gains
# these nothing, and costs the lanes their share where others use the machine.
_NICER = 2


class Worker(threading.Thread):
    """A thread that outlives whatever is raised in it: `body` is called anew until it returns."""

    def __init__(
        self, name: str, body: Callable[[], None], on_fault: Callable[[BaseException], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._body = body
        self._on_fault = on_fault

    def run(self) -> None:
        """Runs the body until it returns."""
        while True:
            try:
                self._body()
                return
            except BaseException as error:
                _log.critical("%s failed and is replaced", self.name, exc_info=True)
                self._on_fault(error)
                time.sleep(_PAUSE)


_Outputs: TypeAlias = Sequence[tuple[float, npt.NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a model: what went in, and what came out or was raised."""

    entries: Sequence[Entry]
    started: float
    seconds: float
    outputs: _Outputs | BaseException

    @property
    def longest(self) -> int:
        return max(entry.length for entry in self.entries)

    @property
    def padding(self) -> float:
        tokens = sum(entry.length for entry in self.entries)
        padded = self.longest * len(self.entries)
        return 1.0 - tokens / padded if padded else 0.0


class Lane:
    """Runs one batch at a time.

    Args:
        take: Waits for the next batch; None when there will be no more.
        costs: Is told how long runs took.
        observe: Is told what happened.
        clock: Seconds.

    Attributes:
        entries: What the lane is at; empty while it waits.
    """

    def __init__(
        self,
        take: Callable[[], Batch | None],
        costs: CostModel,
        observe: Observe,
        clock: Callable[[], float],
    ) -> None:
        self.entries: tuple[Entry, ...] = ()
        self._take = take
        self._costs = costs
        self._observe = observe
        self._clock = clock
        self._retries = False

    def serve(self) -> None:
        """Serves batches until there are no more; first what a fault left unanswered, if any."""
        _give_way()
        self._retries = True
        while self.entries:
            self._retry(self.entries[0])
            self.entries = self.entries[1:]
        self._retries = False
        # A call for each, so that an idle lane keeps no reference to the model it ran last.
        while self._step():
            pass

    def fail(self, error: BaseException) -> None:
        """Takes note that our own code raised in the lane, which is to serve again.

        What it was at is run once more; a request in whose second run that happens is failed.
        """
        notify(self._observe, LaneReplaced(error))
        if self._retries and self.entries:
            fail(self.entries[0], error, self._observe)
            self.entries = self.entries[1:]

    def _retry(self, entry: Entry) -> None:
        """Runs a request alone, unless it has ended."""
        if entry.future.done() or not (entry.future.running() or claim(entry, self._observe)):
            return
        for run in self._alone(entry):
            self._answer(run)

    def _step(self) -> bool:
        batch = self._take()
        if batch is None:
            return False
        self.entries = batch.entries
        for run in self._run(batch):
            self._answer(run)
        self.entries = ()
        return True

    def _run(self, batch: Batch) -> Iterator[_Run]:
        """Runs the batch; should that raise, its members alone, so that only the culprit fails."""
        entries = [entry for entry in batch.entries if claim(entry, self._observe)]
        if not entries:
            return
        run = self._attempt(entries)
        if len(entries) == 1 or not isinstance(run.outputs, BaseException):
            yield run
            return
        _log.warning("a batch of %d failed; its members run alone", len(entries))
        for entry in entries:
            yield from self._alone(entry)

    def _alone(self, entry: Entry) -> Iterator[_Run]:
        """Runs one request by itself, or expires it where its time has run out."""
        if self._clock() < entry.deadline:
            yield self._attempt([entry])
        else:
            expire(entry, self._observe)

    def _attempt(self, entries: Sequence[Entry]) -> _Run:
        started = self._clock()
        outputs: _Outputs | BaseException
        try:
            outputs = _rows(entries[0].model.run([entry.item for entry in entries]), len(entries))
        except BaseException as error:  # A panic in a Rust extension isn't an Exception.
            outputs = error
        return _Run(entries, started, self._clock() - started, outputs)

    def _answer(self, run: _Run) -> None:
        if isinstance(run.outputs, BaseException):
            _log.error("a request failed", exc_info=run.outputs)
            for entry in run.entries:
                fail(entry, run.outputs, self._observe)
            return
        model, size, padding = run.entries[0].model, len(run.entries), run.padding
        self._costs.observe(model, size, run.longest, run.seconds, run.started + run.seconds)
        queued = tuple(run.started - entry.submitted for entry in run.entries)
        notify(self._observe, BatchRan(model, queued, run.seconds, padding))
        rows = zip(run.entries, queued, run.outputs, strict=True)
        for entry, waited, (logit, embedding) in rows:
            answer(entry, Answer(logit, embedding, waited, run.seconds, size, padding))


def _give_way() -> None:
    """Makes the calling thread nicer than those of its process that only need a moment.

    A run holds its core for milliseconds. Whoever reads requests and refuses or answers them would
    wait for the scheduler's next tick. On Linux niceness is each thread's own (sched(7)); elsewhere
    it would be the whole process's.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):  # Some sandboxes know no priorities.
        usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), usual + _NICER)


def _rows(outputs: Outputs, size: int) -> _Outputs:
    """Logit and embedding of each request.

    Raises:
        ValueError: Some are missing, or a logit is not finite.
    """
    logits: list[float] = outputs.logits.tolist()
    if len(logits) != size or len(outputs.embeddings) != size:
        raise ValueError(f"{len(logits)} outputs for {size} requests")
    if not all(map(math.isfinite, logits)):
        raise ValueError("the logit is not a finite number")
    return list(zip(logits, outputs.embeddings, strict=True))
