"""The load generator: closed and open loops, the same for every contender."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

# The longest wait in a closed loop; a queue of 128 requests takes far less.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A score as served, and the server's own time for the request where it reports one."""

    score: float
    service_seconds: float | None = None


class NoAnswer(Exception):  # noqa: N818  an outcome, not a fault
    """A request got no answer.

    Attributes:
        code: The contender's error code, or what went wrong.
        refused: Whether the contender refused the request; otherwise it was slow or broken.
    """

    def __init__(self, code: str, *, refused: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.refused = refused


# Asks for the score of a request, by its number, within a deadline in seconds.
Ask = Callable[[int, float], Awaitable[Answer]]


@dataclass(slots=True)
class Outcomes:
    """The outcome of each request of one phase. Times in seconds.

    Attributes:
        due: When each request was due, from the start of the phase, in order.
        requests: Each request's number.
        latency: Each request's, counted from when it was due; None without an answer.
        scores: The scores of each request number.
        service: The server's own times for each request number.
        errors: Counts for each code, refusals included.
        refusals: Latency of each refusal.
        lateness: How late the generator was with each request.
        seconds: From the start to the last answer.
    """

    due: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    latency: list[float | None] = field(default_factory=list)
    scores: dict[int, list[float]] = field(default_factory=dict)
    service: dict[int, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    refusals: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def begin(self, request: int, due: float) -> int:
        """Adds an unanswered request; returns its index in the lists."""
        self.due.append(due)
        self.requests.append(request)
        self.latency.append(None)
        return len(self.due) - 1

    @property
    def answered(self) -> list[float]:
        """Latencies of the answers."""
        return [latency for latency in self.latency if latency is not None]

    def within(self, deadline: float) -> int:
        """Counts the answers that came within the deadline."""
        return sum(latency <= deadline for latency in self.answered)


def percentile_ms(seconds: Sequence[float], percent: float) -> float | None:
    """Returns a percentile in milliseconds; None without values."""
    return round(float(np.percentile(seconds, percent)) * 1e3, 3) if len(seconds) else None


def poisson_arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Draws the times when requests are due, in seconds from the start; `rate` per second."""
    generator = random.Random(seed)
    times = itertools.accumulate(iter(lambda: generator.expovariate(rate), None))
    return list(itertools.takewhile(lambda time: time < seconds, times))


async def once_each(ask: Ask, requests: Sequence[int], concurrent: int) -> Outcomes:
    """Sends each request once, with a fixed number of concurrent calls."""
    remaining = iter(requests)
    return await _callers(ask, lambda: next(remaining, None), concurrent)


async def closed(ask: Ask, requests: Sequence[int], concurrent: int, seconds: float) -> Outcomes:
    """Runs a fixed number of callers; each waits for an answer before its next request."""
    endless = itertools.cycle(requests)
    until = time.perf_counter() + seconds
    return await _callers(
        ask, lambda: next(endless) if time.perf_counter() < until else None, concurrent
    )


async def open_loop(
    ask: Ask, requests: Sequence[int], arrivals: Sequence[float], deadline: float
) -> Outcomes:
    """Sends each request when it is due, whether or not the contender keeps up.

    Latency and deadline count from when a request was due, so a late generator can't make a
    contender look faster.

    Args:
        ask: Sends one request.
        requests: Their numbers, used again from the start when they run out.
        arrivals: When requests are due, in seconds from the start, ascending.
        deadline: Of each request, in seconds.
    """
    outcomes = Outcomes()
    endless = itertools.cycle(requests)
    started = time.perf_counter()
    tasks = []
    for due in arrivals:
        # Sleeps even when late, so that the tasks which wait for answers get to run.
        await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
        place = outcomes.begin(next(endless), due)
        tasks.append(asyncio.create_task(_record(outcomes, place, ask, started, deadline)))
    await asyncio.gather(*tasks)
    outcomes.seconds = time.perf_counter() - started
    return outcomes


async def _callers(ask: Ask, next_request: Callable[[], int | None], concurrent: int) -> Outcomes:
    outcomes = Outcomes()
    started = time.perf_counter()

    async def call() -> None:
        while (request := next_request()) is not None:
            place = outcomes.begin(request, time.perf_counter() - started)
            await _record(outcomes, place, ask, started, PATIENCE_SECONDS)

    await asyncio.gather(*(call() for _ in range(concurrent)))
    outcomes.seconds = time.perf_counter() - started
    return outcomes


async def _record(
    outcomes: Outcomes, place: int, ask: Ask, started: float, deadline: float
) -> None:
    request, due = outcomes.requests[place], started + outcomes.due[place]
    late = time.perf_counter() - due
    outcomes.lateness.append(late)
    try:
        if late >= deadline:
            raise NoAnswer("late before it was sent")
        answer = await ask(request, deadline - late)
    except NoAnswer as error:
        outcomes.errors[error.code] += 1
        if error.refused:
            outcomes.refusals.append(time.perf_counter() - due)
        return
    outcomes.latency[place] = time.perf_counter() - due
    outcomes.scores.setdefault(request, []).append(answer.score)
    if answer.service_seconds is not None:
        outcomes.service.setdefault(request, []).append(answer.service_seconds)
