"""The entrance to scheduling: requests go in, futures come out."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from tipstaff_server.errors import Overloaded, ShuttingDown
from tipstaff_server.scheduling.admission import admit
from tipstaff_server.scheduling.cost import CostModel, Measurement, measure
from tipstaff_server.scheduling.events import Observe, WorkerRestarted
from tipstaff_server.scheduling.model import Item, Model
from tipstaff_server.scheduling.outcome import claim, expire, notify, turn_away
from tipstaff_server.scheduling.queue import Entry
from tipstaff_server.scheduling.reserve import Reserve
from tipstaff_server.scheduling.run_result import RunResult
from tipstaff_server.scheduling.scheduler import (
    DEFAULT_LIMITS,
    BatchLimits,
    ScheduledBatch,
    Scheduler,
)
from tipstaff_server.scheduling.workers import RestartingThread, Worker

WARM_UP_LENGTHS = (16, 32, 64, 128, 256, 512)

# The sweeper's longest wait in seconds, since a deadline may be further off than a lock can wait.
_LONGEST_WAIT = 3600.0


class Dispatcher:
    """Admits requests, has workers run them, and resolves every future it gave out.

    A future resolves with a `RunResult`, or with `DeadlineExpired`, `InferenceFailed` or
    `ShuttingDown`. Cancelling one takes its run out of the queue at once; a run that a worker has
    already taken goes on to its end.

    Entries expire promptly, though nothing polls: the sweeper thread sleeps until the earliest
    deadline in the queue. It is woken only when no worker is idle and an earlier deadline comes in,
    so that under steady traffic it wakes about once in the length of a deadline.

    All methods may be called from any thread. One lock guards everything that is shared. It is held
    for microseconds; futures are resolved and events sent outside it.

    Args:
        workers: Batches that run at a time, each on a thread of its own; at least 1.
        max_queue: Runs that may wait; at least 1.
        limits: Bounds on a batch.
        observe: Receives events, from many threads; must be quick.
        clock: Seconds, growing steadily at the rate of real time.
    """

    def __init__(
        self,
        *,
        workers: int,
        max_queue: int,
        limits: BatchLimits = DEFAULT_LIMITS,
        observe: Observe = lambda event: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_queue = max_queue
        self._limits = limits
        self._observe = observe
        self._clock = clock
        self._costs = CostModel()

        self._lock = threading.Lock()
        self._work_came = threading.Condition(self._lock)
        self._deadline_came = threading.Condition(self._lock)
        # Behind the lock:
        self._scheduler = Scheduler(self._costs, limits)
        self._reserve = Reserve(workers)
        self._busy_until = [-math.inf] * workers
        self._idle = 0
        self._sweep_at = -math.inf
        self._stopped = False

        self._workers = [
            Worker(partial(self._take, number), self._costs, observe, clock)
            for number in range(workers)
        ]
        self._threads = [
            RestartingThread(f"tipstaff-worker-{number}", worker.serve, worker.fail)
            for number, worker in enumerate(self._workers)
        ]
        self._threads.append(RestartingThread("tipstaff-sweeper", self._sweep, self._note_fault))

    def start(self) -> None:
        """Starts the threads; call it once."""
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        model: Model[Item],
        items: Sequence[Item],
        deadline: float,
        *,
        arrived: float | None = None,
    ) -> list[Future[RunResult]]:
        """Queues the runs of one request: all of them or, if it raises, none.

        Workers take runs one by one, so several of a request may be under way at a time.

        Args:
            model: The model to run.
            items: Its inputs, at least one; `len()` of each is its tokens.
            deadline: When the results must be there, on the dispatcher's clock.
            arrived: When the request would have come here on an idle server, on the same clock; now
                if None. It tells a deadline that was too short from one that other work used up.

        Returns:
            A future for each item. Cancel those that are left when one fails, or when the caller
            has gone.

        Raises:
            DeadlineUnreachable: The request would have been late even on an idle server.
            Overloaded: It can't be answered in time now, or the queue is full.
            ShuttingDown: The dispatcher has been stopped.
        """
        now = self._clock()
        entries = [Entry(model, item, deadline, now) for item in items]
        for entry in entries:
            self._scheduler.estimate(entry, now)
        with self._lock:
            is_short = len(entries) == 1
            self._admit(entries, now if arrived is None else arrived, now, is_short=is_short)
            if is_short:
                self._reserve.add(entries[0].cost_seconds, now)
            for entry in entries:
                self._scheduler.push(entry)
            if self._idle:
                self._work_came.notify(len(entries))
            if self._idle < len(entries):
                self._set_alarm()
        for entry in entries:
            # Weakly: a future with a reference to its entry, and so to the model, would keep a
            # retired model in memory until the garbage collector runs.
            entry.future.add_done_callback(partial(self._on_done, weakref.ref(entry)))
        return [entry.future for entry in entries]

    def check(
        self,
        model: Model[Any],
        length: int,
        deadline: float,
        *,
        arrived: float,
        is_short: bool = False,
    ) -> None:
        """Refuses a request early, before it is encoded, if `submit` would refuse it anyway.

        Args:
            model: The model to run.
            length: Fewest tokens that a run of the request can have.
            deadline: As for `submit`.
            arrived: The earliest value that `submit` will get.
            is_short: Whether one run will probably do: time is reserved for such requests.

        Raises:
            RequestError: As for `submit`.
        """
        now = self._clock()
        entry = Entry(model, range(length), deadline, now)
        self._scheduler.estimate(entry, now)
        with self._lock:
            self._admit([entry], arrived, now, is_short=is_short)

    def learn(
        self,
        model: Model[Item],
        make: Callable[[int], Item],
        lengths: Sequence[int] = WARM_UP_LENGTHS,
    ) -> None:
        """Measures how long a model's runs take, in this thread, before the model serves.

        Args:
            model: The model to measure.
            make: Makes an item of about the given number of tokens; the item may be shorter if the
                model takes no more.
            lengths: Numbers of tokens to try.

        Raises:
            Exception: Whatever the model raises.
        """
        measurements = measure(
            model,
            make,
            lengths,
            max_size=self._limits.size,
            max_tokens=self._limits.tokens,
            clock=self._clock,
        )
        self._costs.learn(model, list(measurements))

    def profile(self, model: Model[Any]) -> tuple[Measurement, ...]:
        """How long runs of a model take, by batch and length; empty if it was never measured."""
        return self._costs.profile(model, self._clock())

    def forget(self, model: Model[Any]) -> None:
        """Drops the measurements of a model that will get no more requests."""
        self._costs.forget(model)

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the threads; futures that are left resolve with `ShuttingDown`.

        Args:
            timeout: Seconds to wait for runs that are under way.
        """
        with self._lock:
            self._stopped = True
            unrun = self._scheduler.clear()
            self._work_came.notify_all()
            self._deadline_came.notify_all()
        for entry in unrun:
            if claim(entry, self._observe):
                turn_away(entry, self._observe)
        give_up_at = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, give_up_at - time.monotonic()))
        for worker in self._workers:
            for entry in worker.entries:
                turn_away(entry, self._observe)

    @property
    def depth(self) -> int:
        """Number of runs that wait."""
        return len(self._scheduler)

    @property
    def healthy(self) -> bool:
        """Whether all threads are alive."""
        return all(thread.is_alive() for thread in self._threads)

    def _admit(
        self, entries: Sequence[Entry], arrived: float, now: float, *, is_short: bool
    ) -> None:
        if self._stopped:
            raise ShuttingDown("the server is shutting down: try another one")
        try:
            admit(
                entries,
                self._scheduler.queue,
                self._busy_until,
                arrived=arrived,
                now=now,
                # Requests of several runs fill half of the queue at most: with late deadlines they
                # stay in it long.
                capacity=self._max_queue if is_short else math.ceil(self._max_queue / 2),
                reserved=self._reserve.share(now) if len(entries) > 1 else 0.0,
            )
        except Overloaded:
            # Else long requests that fill the queue would keep it: nothing short gets in to count.
            if is_short:
                self._reserve.add(entries[0].cost_seconds, now)
            raise

    def _take(self, worker: int) -> ScheduledBatch | None:
        """Waits for the next batch; None once the dispatcher is stopped."""
        while not self._stopped:
            with self._lock:
                self._busy_until[worker] = -math.inf
                self._wait_for_work()
                now = self._clock()
                batch, late = self._scheduler.take(now)
                if batch:
                    self._busy_until[worker] = now + batch.seconds
                self._set_alarm()
            self._expire(late)
            if batch:
                return batch
        return None

    def _wait_for_work(self) -> None:
        self._idle += 1
        try:
            self._work_came.wait_for(lambda: len(self._scheduler) or self._stopped)
        finally:
            self._idle -= 1

    def _sweep(self) -> None:
        """Takes out expired entries as their deadlines pass."""
        while not self._stopped:
            with self._lock:
                expired = self._scheduler.expire(self._clock())
                if not expired and not self._stopped:
                    self._sweep_at = self._scheduler.queue.earliest
                    wait = min(self._sweep_at - self._clock(), _LONGEST_WAIT)
                    self._deadline_came.wait(max(0.0, wait))
                    self._sweep_at = -math.inf
            self._expire(expired)

    def _set_alarm(self) -> None:
        if self._scheduler.queue.earliest < self._sweep_at:
            self._deadline_came.notify()

    def _expire(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if claim(entry, self._observe):
                expire(entry, self._observe)

    def _on_done(self, reference: weakref.ref[Entry], future: Future[RunResult]) -> None:
        """Takes the entry of a cancelled future out of the queue."""
        entry = reference()
        if entry is None or not future.cancelled():
            return
        with self._lock:
            cancelled = self._scheduler.cancel(entry)
        if cancelled:
            claim(entry, self._observe)

    def _note_fault(self, error: BaseException) -> None:
        notify(self._observe, WorkerRestarted(error))
