"""The one door to batching: requests go in, futures come out."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from tipstaff_server.errors import ShuttingDown
from tipstaff_server.scheduling.admission import admit
from tipstaff_server.scheduling.answer import Answer
from tipstaff_server.scheduling.cost import CostModel, Measurement, measure
from tipstaff_server.scheduling.events import LaneReplaced, Observe
from tipstaff_server.scheduling.model import Item, Model
from tipstaff_server.scheduling.outcome import claim, expire, notify, turn_away
from tipstaff_server.scheduling.queue import Entry
from tipstaff_server.scheduling.scheduler import DEFAULT_LIMITS, Batch, BatchLimits, Scheduler
from tipstaff_server.scheduling.workers import Lane, Worker

WARM_UP_LENGTHS = (16, 32, 64, 128, 256, 512)

# Seconds; waits are cut at this, since a deadline may be further off than a lock can wait.
_LONGEST_WAIT = 3600.0


class Dispatcher:
    """Admits requests, has lanes run them, and resolves every future it gave out.

    A future resolves with an `Answer`, or with `DeadlineExpired`, `InferenceFailed` or
    `ShuttingDown`. Cancelling one takes its request out of the queue at once; a request that a lane
    has already taken runs to its end.

    Expiry is prompt though nothing polls: the sweeper thread sleeps until the earliest deadline in
    the queue. It is woken only when no lane is idle and a deadline comes up earlier than the one it
    sleeps for, so that with steady traffic it wakes about once a deadline's length.

    All methods are safe to call from any thread. Everything that is shared is behind one lock, held
    for microseconds; futures are resolved, and the observer is told, outside it.

    Args:
        lanes: Batches that run at a time, each on a thread of its own; at least 1.
        max_queue: Requests that may wait; at least 1.
        limits: On a run of a batchable model.
        observe: Is told what happens, from many threads; must be quick.
        clock: Seconds, steadily growing at the rate of real time.
    """

    def __init__(
        self,
        *,
        lanes: int,
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
        self._busy_until = [-math.inf] * lanes
        self._idle = 0
        self._sweep_at = -math.inf
        self._stopped = False

        self._lanes = [
            Lane(partial(self._take, number), self._costs, observe, clock)
            for number in range(lanes)
        ]
        self._workers = [
            Worker(f"tipstaff-lane-{number}", lane.serve, lane.fail)
            for number, lane in enumerate(self._lanes)
        ]
        self._workers.append(Worker("tipstaff-sweeper", self._sweep, self._note_fault))

    def start(self) -> None:
        """Starts the threads; to be called once."""
        for worker in self._workers:
            worker.start()

    def submit(
        self,
        model: Model[Item],
        encoded: Item,
        deadline: float,
        *,
        arrived: float | None = None,
    ) -> Future[Answer]:
        """Queues a request.

        Args:
            model: What is to run it.
            encoded: What it is to run; `len()` is its tokens.
            deadline: When its answer must be there, on the dispatcher's clock.
            arrived: When the request would have come here on an idle server, on the same clock; by
                default now. It tells a deadline that was too short from one that other work used
                up.

        Returns:
            The future answer; cancel it when the caller has gone.

        Raises:
            DeadlineUnreachable: It would have been late even with the server to itself.
            Overloaded: It can't be answered in time now, or the queue is full.
            ShuttingDown: Nothing is admitted any more.
        """
        return self.submit_all(model, [encoded], deadline, arrived=arrived)[0]

    def submit_all(
        self,
        model: Model[Item],
        items: Sequence[Item],
        deadline: float,
        *,
        arrived: float | None = None,
    ) -> list[Future[Answer]]:
        """Queues the runs that one request takes: all of them or, where it raises, none.

        Lanes take them one by one, so several may be under way at a time.

        Args:
            model: What is to run them.
            items: What it is to run, at least one; `len()` of each is its tokens.
            deadline: As for `submit`.
            arrived: As for `submit`.

        Returns:
            The future answer of each; cancel what is left of them when one fails or the caller has
            gone.

        Raises:
            RequestError: As `submit` does.
        """
        now = self._clock()
        entries = [Entry(model, item, deadline, now) for item in items]
        for entry in entries:
            self._scheduler.estimate(entry, now)
        with self._lock:
            self._admit(entries, now if arrived is None else arrived, now)
            for entry in entries:
                self._scheduler.push(entry)
            if self._idle:
                self._work_came.notify(len(entries))
            if self._idle < len(entries):
                self._set_alarm()
        for entry in entries:
            # Weakly: a future that led back to its entry, which holds the model, would keep a
            # retired model in memory until the collector comes by.
            entry.future.add_done_callback(partial(self._close, weakref.ref(entry)))
        return [entry.future for entry in entries]

    def check(self, model: Model[Any], length: int, deadline: float, *, arrived: float) -> None:
        """Refuses a request before any work is done for it, where it would be refused anyway.

        Args:
            model: What would run it.
            length: Tokens that a run of it has at least.
            deadline: When its answer must be there, on the dispatcher's clock.
            arrived: As for `submit`, at the earliest.

        Raises:
            RequestError: As `submit` would.
        """
        now = self._clock()
        entry = Entry(model, range(length), deadline, now)
        self._scheduler.estimate(entry, now)
        with self._lock:
            self._admit([entry], arrived, now)

    def learn(
        self,
        model: Model[Item],
        make: Callable[[int], Item],
        lengths: Sequence[int] = WARM_UP_LENGTHS,
    ) -> None:
        """Measures what a model's runs take, in this thread, before the model serves.

        Args:
            model: What to measure.
            make: An item of about so many tokens; it may be shorter where the model takes no more.
            lengths: Tokens to try.

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
        """What runs of a model take, by batch and length; empty if it was never measured."""
        return self._costs.profile(model, self._clock())

    def forget(self, model: Model[Any]) -> None:
        """Drops what is known of a model that will get no more requests."""
        self._costs.forget(model)

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the threads; what is left resolves with `ShuttingDown`.

        Args:
            timeout: Seconds to wait for runs that are under way.
        """
        with self._lock:
            self._stopped = True
            left = self._scheduler.clear()
            self._work_came.notify_all()
            self._deadline_came.notify_all()
        for entry in left:
            if claim(entry, self._observe):
                turn_away(entry, self._observe)
        give_up_at = time.monotonic() + timeout
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, give_up_at - time.monotonic()))
        for lane in self._lanes:
            for entry in lane.entries:
                turn_away(entry, self._observe)

    @property
    def depth(self) -> int:
        """Requests that wait."""
        return len(self._scheduler)

    @property
    def healthy(self) -> bool:
        """Whether all threads are alive."""
        return all(worker.is_alive() for worker in self._workers)

    def _admit(self, entries: Sequence[Entry], arrived: float, now: float) -> None:
        if self._stopped:
            raise ShuttingDown("the server is shutting down: try another one")
        admit(
            entries,
            self._scheduler.queue,
            self._busy_until,
            arrived=arrived,
            now=now,
            capacity=self._max_queue,
        )

    def _take(self, lane: int) -> Batch | None:
        """Waits for the next batch; None once the dispatcher is stopped."""
        while not self._stopped:
            with self._lock:
                self._busy_until[lane] = -math.inf
                self._wait_for_work()
                now = self._clock()
                batch, late = self._scheduler.take(now)
                if batch:
                    self._busy_until[lane] = now + batch.seconds
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
        """Takes out what has expired, whenever something has."""
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

    def _close(self, queued: weakref.ref[Entry], future: Future[Answer]) -> None:
        """Runs when a future resolves, however it did."""
        entry = queued()
        if entry is None or not future.cancelled():
            return
        with self._lock:
            cancelled = self._scheduler.cancel(entry)
        if cancelled:
            claim(entry, self._observe)

    def _note_fault(self, error: BaseException) -> None:
        notify(self._observe, LaneReplaced(error))
