from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from tipstaff_server.errors import DeadlineUnreachable, Overloaded
from tipstaff_server.scheduling import BatchLimits, Dispatcher, Event, Measurement
from tipstaff_server.scheduling.admission import admit
from tipstaff_server.scheduling.cost import CostModel
from tipstaff_server.scheduling.queue import Entry
from tipstaff_server.scheduling.scheduler import Scheduler

POISON = "poison"


@dataclass
class Rows:
    logits: np.ndarray
    embeddings: np.ndarray


@dataclass(eq=False)
class FakeModel:
    """Answers each item with its length; waits at a gate, sleeps, and fails on poison items."""

    batchable: bool = True
    seconds: float = 0.0
    error: BaseException | None = field(default_factory=lambda: ValueError("bad request"))
    spoil: Callable[[Rows], object] | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[list[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def run(self, batch: Sequence[Any]) -> Rows:
        self.batches.append(list(batch))
        self.started.release()
        assert self.gate.wait(10)
        if self.seconds:
            time.sleep(self.seconds)
        if POISON in batch and self.error:
            raise self.error
        lengths = np.array([len(item) for item in batch], dtype=np.float32)
        rows = Rows(lengths, np.repeat(lengths[:, None], 4, axis=1))
        if POISON in batch and self.spoil:
            self.spoil(rows)
        return rows


class Arrival(NamedTuple):
    at: float
    length: int
    budget: float
    model: FakeModel
    runs: int = 1


@dataclass
class Outcome:
    """The outcome of simulated arrivals; `answered` has each deadline minus its end."""

    answered: list[float] = field(default_factory=list)
    refused: int = 0
    dropped: int = 0
    sizes: list[int] = field(default_factory=list)

    @property
    def in_time(self) -> int:
        return sum(spare >= 0 for spare in self.answered)


def _simulate(
    arrivals: Sequence[Arrival],
    costs: CostModel,
    *,
    workers: int,
    limits: BatchLimits | None = None,
    capacity: int = 10_000,
    actual: Callable[[float], float] = lambda predicted: predicted,
) -> Outcome:
    """Simulates arrivals with scheduler and admission; a run takes `actual(predicted)` seconds."""
    scheduler = Scheduler(costs, limits or BatchLimits())
    outcome, ends, predicted_ends = Outcome(), [0.0] * workers, [0.0] * workers
    # At equal times, workers become free before requests arrive.
    events: list[tuple[float, int, int]] = [(a.at, 1, i) for i, a in enumerate(arrivals)]
    heapq.heapify(events)
    while events:
        now, kind, index = heapq.heappop(events)
        if kind == 1:
            arrival = arrivals[index]
            entries = [
                Entry(arrival.model, range(arrival.length), now + arrival.budget, now)
                for _ in range(arrival.runs)
            ]
            for entry in entries:
                scheduler.estimate(entry, now)
            try:
                admit(
                    entries,
                    scheduler.queue,
                    predicted_ends,
                    arrived=now,
                    now=now,
                    capacity=capacity,
                )
                for entry in entries:
                    scheduler.push(entry)
            except (DeadlineUnreachable, Overloaded):
                outcome.refused += arrival.runs
        for worker in range(workers):
            if ends[worker] <= now and scheduler.queue:
                batch, late = scheduler.take(now)
                outcome.dropped += len(late)
                if batch:
                    ends[worker] = now + actual(batch.seconds)
                    predicted_ends[worker] = now + batch.seconds
                    outcome.answered += [e.deadline - ends[worker] for e in batch.entries]
                    outcome.sizes.append(len(batch.entries))
                    heapq.heappush(events, (ends[worker], 0, worker))
    return outcome


@pytest.fixture(scope="session")
def simulate() -> Callable[..., Outcome]:
    return _simulate


@pytest.fixture(scope="session")
def arrival() -> type[Arrival]:
    return Arrival


@pytest.fixture(scope="session")
def fake_model() -> type[FakeModel]:
    return FakeModel


@pytest.fixture(scope="session")
def linear_costs() -> Callable[..., CostModel]:
    """Makes cost models that know `fixed + batch * length * per_token` seconds per run."""

    def make(*models: FakeModel, fixed: float = 0.0, per_token: float = 1.0) -> CostModel:
        costs = CostModel()
        for model in models:
            batches = [2**power for power in range(6)] if model.batchable else [1]
            costs.learn(
                model,
                [
                    Measurement(batch, length, fixed + batch * length * per_token)
                    for batch in batches
                    for length in (1, 16, 64, 256, 1024)
                ],
            )
        return costs

    return make


@pytest.fixture
def dispatcher() -> Iterator[Callable[..., Dispatcher]]:
    """Makes dispatchers with a list of events, `events`; they are stopped afterwards."""
    made: list[Dispatcher] = []

    def make(*, workers: int = 1, max_queue: int = 1000, **settings: Any) -> Dispatcher:
        events: list[Event] = []
        new = Dispatcher(workers=workers, max_queue=max_queue, observe=events.append, **settings)
        new.events = events  # type: ignore[attr-defined]
        made.append(new)
        return new

    yield make
    for each in made:
        each.stop(timeout=2.0)
