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

from tipstaff_server.scheduling.cost import CostModel
from tipstaff_server.scheduling.events import BatchRan, Observe, WorkerRestarted
from tipstaff_server.scheduling.model import ModelOutputs
from tipstaff_server.scheduling.outcome import claim, expire, fail, notify, resolve
from tipstaff_server.scheduling.queue import Entry
from tipstaff_server.scheduling.run_result import RunResult
from tipstaff_server.scheduling.scheduler import ScheduledBatch

_log = logging.getLogger(__name__)
# Seconds before a thread whose code raised starts again: a fault that repeats must not burn a core.
_PAUSE = 0.05
# How much nicer a worker is than the threads that read requests and write replies. A higher value
# gains those nothing, and costs the workers their share where other processes use the machine.
_NICER = 2


class RestartingThread(threading.Thread):
    """A thread that calls `body` until it returns, again after whatever it raises."""

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


_LogitsAndEmbeddings: TypeAlias = Sequence[tuple[float, npt.NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a model: its entries, and their outputs or what the model raised."""

    entries: Sequence[Entry]
    started: float
    seconds: float
    outputs: _LogitsAndEmbeddings | BaseException

    @property
    def longest(self) -> int:
        return max(entry.length for entry in self.entries)

    @property
    def padding(self) -> float:
        tokens = sum(entry.length for entry in self.entries)
        padded = self.longest * len(self.entries)
        return 1.0 - tokens / padded if padded else 0.0


class Worker:
    """Takes batches, runs them, and resolves their futures; one batch at a time.

    Args:
        take: Waits for the next batch; returns None when there will be no more.
        costs: Learns how long runs took.
        observe: Receives events.
        clock: Seconds.

    Attributes:
        entries: The batch under way; empty while the worker waits.
    """

    def __init__(
        self,
        take: Callable[[], ScheduledBatch | None],
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
        """Serves batches until there are no more, beginning with entries that a fault left over."""
        _lower_priority()
        self._retries = True
        while self.entries:
            self._retry(self.entries[0])
            self.entries = self.entries[1:]
        self._retries = False
        # One call for each batch, so that an idle worker keeps no reference to the model of the
        # last one.
        while self._step():
            pass

    def fail(self, error: BaseException) -> None:
        """Handles an error of the worker's own code; `serve` is called again afterwards.

        The entries under way run once more. One whose second run ends like this is failed.
        """
        notify(self._observe, WorkerRestarted(error))
        if self._retries and self.entries:
            fail(self.entries[0], error, self._observe)
            self.entries = self.entries[1:]

    def _retry(self, entry: Entry) -> None:
        """Runs an entry alone, unless its future is done."""
        if entry.future.done() or not (entry.future.running() or claim(entry, self._observe)):
            return
        for run in self._run_alone(entry):
            self._resolve(run)

    def _step(self) -> bool:
        batch = self._take()
        if batch is None:
            return False
        self.entries = batch.entries
        for run in self._run(batch):
            self._resolve(run)
        self.entries = ()
        return True

    def _run(self, batch: ScheduledBatch) -> Iterator[_Run]:
        """Runs the batch. If that raises, each entry runs alone, so that only the culprit fails."""
        entries = [entry for entry in batch.entries if claim(entry, self._observe)]
        if not entries:
            return
        run = self._attempt(entries)
        if len(entries) == 1 or not isinstance(run.outputs, BaseException):
            yield run
            return
        _log.warning("a batch of %d failed; its members run alone", len(entries))
        for entry in entries:
            yield from self._run_alone(entry)

    def _run_alone(self, entry: Entry) -> Iterator[_Run]:
        """Runs one entry by itself, or expires it if its deadline has passed."""
        if self._clock() < entry.deadline:
            yield self._attempt([entry])
        else:
            expire(entry, self._observe)

    def _attempt(self, entries: Sequence[Entry]) -> _Run:
        started = self._clock()
        outputs: _LogitsAndEmbeddings | BaseException
        try:
            outputs = _split(entries[0].model.run([entry.item for entry in entries]), len(entries))
        except BaseException as error:  # A panic in a Rust extension isn't an Exception.
            outputs = error
        return _Run(entries, started, self._clock() - started, outputs)

    def _resolve(self, run: _Run) -> None:
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
        for entry, queue_seconds, (logit, embedding) in rows:
            resolve(entry, RunResult(logit, embedding, queue_seconds, run.seconds, size, padding))


def _lower_priority() -> None:
    """Makes the calling thread nicer than the process's threads that only need a moment.

    A run holds its core for milliseconds. Without this, the threads that read, refuse and answer
    requests would wait for the kernel scheduler's next tick. Linux keeps a niceness for each thread
    (sched(7)); elsewhere it would apply to the whole process.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):  # Some sandboxes know no priorities.
        usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), usual + _NICER)


def _split(outputs: ModelOutputs, size: int) -> _LogitsAndEmbeddings:
    """The logit and embedding of each entry.

    Raises:
        ValueError: Some are missing, or a logit is not finite.
    """
    logits: list[float] = outputs.logits.tolist()
    if len(logits) != size or len(outputs.embeddings) != size:
        raise ValueError(f"{len(logits)} outputs for {size} requests")
    if not all(map(math.isfinite, logits)):
        raise ValueError("the logit is not a finite number")
    return list(zip(logits, outputs.embeddings, strict=True))
