"""Measures a contender in phases; each phase gives one record.

A contender is started three times: on all cores, which it shares with the generator; on one core,
with the generator on another, to measure its capacity; and on one core again, configured with the
deadline, for loads up to three times its capacity.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from comparison.contender import Contender
from comparison.ideal import ideal_latencies
from comparison.loadgen import (
    Outcomes,
    closed,
    once_each,
    open_loop,
    percentile_ms,
    poisson_arrivals,
)
from comparison.processes import Processes, pinned

DEADLINE_SECONDS = 0.1
CONCURRENT = (1, 8, 32, 128)
LOADS = (0.5, 0.8, 1.0, 2.0, 3.0)
# Concurrent callers when scores are compared with those of the same requests alone.
TOGETHER = 32
# Load for the comparison with the ideal queue, as a share of capacity; no deadline interferes.
UNHURRIED = 0.8
_UNHURRIED_SECONDS = 30.0
_UNHURRIED_TIMES = 7
_IDLE_SECONDS = 10.0
# Between phases: a server that still works on abandoned requests would distort the next one.
_QUIET_CORES = 0.05
_QUIET_WITHIN_SECONDS = 90.0

Record = dict[str, object]


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        cores: The cores to use.
        requests: The number of distinct requests.
        seconds: How long each phase lasts.
        seed: The seed for the order of requests and for the arrivals.
    """

    cores: Sequence[int]
    requests: int
    seconds: float
    seed: int

    def shuffled(self) -> list[int]:
        """Returns the requests' numbers in the order in which the loops send them."""
        numbers = list(range(self.requests))
        random.Random(self.seed).shuffle(numbers)
        return numbers


async def measure(contender: Contender, plan: Plan) -> AsyncIterator[Record]:
    """Measures one contender.

    Raises:
        ContenderError: The contender can't be started.
    """
    async with _alive(contender, plan.cores):
        async for record in _shared(contender, plan):
            yield {"contender": contender.name, "cores": len(plan.cores), **record}
    server, generator = plan.cores[:1], plan.cores[1:2]
    capacity = 0.0
    with pinned(generator):
        async with _alive(contender, server):
            async for record in _capacity(contender, plan):
                capacity = max(capacity, cast(float, record["per_second"]))
                yield {"contender": contender.name, "cores": 1, **record}
            async for record in _unhurried(contender, plan, capacity):
                yield {"contender": contender.name, "cores": 1, **record}
        async with _alive(contender, server, DEADLINE_SECONDS):
            async for record in _overload(contender, plan, capacity):
                yield {"contender": contender.name, "cores": 1, **record}


async def measure_round(contender: Contender, plan: Plan) -> Record:
    """Runs one closed loop on all cores; quick, so that contenders can take turns.

    Raises:
        ContenderError: The contender can't be started.
    """
    requests = plan.shuffled()
    async with _alive(contender, plan.cores):
        await once_each(contender.ask, requests[: plan.requests // 4], 4)  # warm
        async with _accounted(contender.processes) as costs:
            outcomes = await closed(contender.ask, requests, TOGETHER, plan.seconds)
    return {
        "contender": contender.name,
        "cores": len(plan.cores),
        "concurrent": TOGETHER,
        **summary(outcomes),
        **costs,
    }


@asynccontextmanager
async def _alive(
    contender: Contender, cores: Sequence[int], deadline: float | None = None
) -> AsyncIterator[None]:
    await contender.start(cores, deadline)
    try:
        yield
    finally:
        await contender.stop()


async def _shared(contender: Contender, plan: Plan) -> AsyncIterator[Record]:
    """Measures on all cores: idle, each request alone, all together, closed loops."""
    requests = plan.shuffled()
    await once_each(contender.ask, requests[: plan.requests // 4], 4)  # warm
    await quiet(contender.processes)
    before = contender.processes.cpu_seconds()
    await asyncio.sleep(_IDLE_SECONDS)
    used = contender.processes.cpu_seconds() - before
    yield {"phase": "idle", "cpu_percent": round(100 * used / _IDLE_SECONDS, 3)}

    async with _accounted(contender.processes) as costs:
        outcomes = await once_each(contender.ask, range(plan.requests), 1)
    alone = {request: scores[0] for request, scores in outcomes.scores.items()}
    yield {"phase": "alone", **summary(outcomes), **costs}

    async with _accounted(contender.processes) as costs:
        outcomes = await once_each(contender.ask, requests, TOGETHER)
    yield {"phase": "together", **summary(outcomes), **costs, **differing(outcomes, alone)}

    for concurrent in CONCURRENT:
        async with _accounted(contender.processes) as costs:
            outcomes = await closed(contender.ask, requests, concurrent, plan.seconds)
        yield {
            "phase": "closed",
            "concurrent": concurrent,
            **summary(outcomes),
            **costs,
            **differing(outcomes, alone),
        }


async def _capacity(contender: Contender, plan: Plan) -> AsyncIterator[Record]:
    """Runs closed loops on one core; the best one's rate is the capacity."""
    requests = plan.shuffled()
    await once_each(contender.ask, requests[: plan.requests // 4], 4)  # warm
    for concurrent in CONCURRENT[1:]:
        async with _accounted(contender.processes) as costs:
            outcomes = await closed(contender.ask, requests, concurrent, plan.seconds)
        yield {"phase": "capacity", "concurrent": concurrent, **summary(outcomes), **costs}


async def _unhurried(contender: Contender, plan: Plan, capacity: float) -> AsyncIterator[Record]:
    """Runs open loops below capacity, without a tight deadline, to compare the queue with an ideal.

    The ideal queue gets the same arrivals. Its service times are those that each request takes on
    this server alone: in total (`ideal`), and for encoding and graph only (`bare`). Only Tipstaff
    reports these times. The loop is repeated, each time between two passes that measure service
    times, because a shared machine's speed drifts and a single stall decides a 99th percentile.
    """
    requests = plan.shuffled()
    before = await _service(contender, requests)
    for number in range(_UNHURRIED_TIMES if before else 1):
        arrivals = poisson_arrivals(UNHURRIED * capacity, plan.seconds, plan.seed + number)
        outcomes = await open_loop(contender.ask, requests, arrivals, _UNHURRIED_SECONDS)
        record = {"phase": "unhurried", "load": UNHURRIED, **summary(outcomes)}
        if before:
            after = await _service(contender, requests)
            for kind in before:
                alone = {r: (before[kind][r] + after[kind][r]) / 2 for r in requests}
                service = [alone[request] for request in outcomes.requests]
                ideal = ideal_latencies(arrivals, service, servers=1)
                record |= {f"{kind}_p{part}_ms": percentile_ms(ideal, part) for part in (50, 99)}
            before = after
        yield record


async def _service(contender: Contender, requests: Sequence[int]) -> dict[str, dict[int, float]]:
    """Seconds per request alone, by kind; empty if the contender doesn't report its own time."""
    spent = contender.processes.cpu_seconds()
    outcomes = await once_each(contender.ask, requests, 1)
    spent = contender.processes.cpu_seconds() - spent
    if not outcomes.service.keys() >= set(requests):
        return {}
    bare = {request: outcomes.service[request][0] for request in requests}
    # Work besides encoding and graph takes the same time for each request.
    rest = max(0.0, (spent - sum(bare.values())) / len(requests))
    return {"ideal": {r: seconds + rest for r, seconds in bare.items()}, "bare": bare}


async def _overload(contender: Contender, plan: Plan, capacity: float) -> AsyncIterator[Record]:
    """Runs open loops at multiples of the capacity, with the deadline."""
    requests = plan.shuffled()
    await once_each(contender.ask, requests[: plan.requests // 4], 1)  # warm
    for load in LOADS:
        arrivals = poisson_arrivals(load * capacity, plan.seconds, plan.seed)
        await quiet(contender.processes)
        async with _accounted(contender.processes) as costs:
            outcomes = await open_loop(contender.ask, requests, arrivals, DEADLINE_SECONDS)
        yield {
            "phase": "open",
            "load": load,
            "rate": round(load * capacity, 2),
            "goodput": round(outcomes.within(DEADLINE_SECONDS) / plan.seconds, 2),
            **summary(outcomes),
            **costs,
        }


def summary(outcomes: Outcomes) -> Record:
    """Returns a phase's numbers: counts, rates per second, times in milliseconds."""
    answered = outcomes.answered
    return {
        "seconds": round(outcomes.seconds, 3),
        "asked": len(outcomes.due),
        "answered": len(answered),
        "per_second": round(len(answered) / outcomes.seconds, 2),
        "p50_ms": percentile_ms(answered, 50),
        "p99_ms": percentile_ms(answered, 99),
        "errors": dict(outcomes.errors),
        "refused": len(outcomes.refusals),
        "refusal_p50_ms": percentile_ms(outcomes.refusals, 50),
        "generator_late_p99_ms": percentile_ms(outcomes.lateness, 99),
    }


def differing(outcomes: Outcomes, alone: Mapping[int, float]) -> Record:
    """Counts the requests with a score that differs in any bit from their score alone."""
    differences = [
        max(abs(score - alone[request]) for score in scores)
        for request, scores in outcomes.scores.items()
        if request in alone
    ]
    return {
        "compared": len(differences),
        "differing": sum(difference > 0 for difference in differences),
        "largest_difference": max(differences, default=0.0),
    }


@asynccontextmanager
async def _accounted(processes: Processes) -> AsyncIterator[Record]:
    """Yields a record; at the end of the phase, writes processor time and memory into it."""
    costs: Record = {}
    cpu, own, started = processes.cpu_seconds(), time.process_time(), time.perf_counter()
    yield costs
    seconds = time.perf_counter() - started
    costs["cpu_seconds"] = round(processes.cpu_seconds() - cpu, 3)
    costs["generator_cores"] = round((time.process_time() - own) / seconds, 3)
    costs["memory_mb"] = round(processes.memory_bytes() / 1e6, 1)
    costs["peak_mb"] = round(processes.peak_bytes() / 1e6, 1)


async def quiet(processes: Processes) -> None:
    """Waits until the contender has no work left, but only for a limited time."""
    give_up = time.monotonic() + _QUIET_WITHIN_SECONDS
    while time.monotonic() < give_up:
        before = processes.cpu_seconds()
        await asyncio.sleep(0.5)
        if processes.cpu_seconds() - before <= 0.5 * _QUIET_CORES:
            return
