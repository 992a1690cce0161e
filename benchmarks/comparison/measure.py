"""Measures a contender, phase by phase; each phase gives one record.

A contender is started three times: on all cores, which it shares with the generator; on one core,
with the generator on another, for its capacity; and there again, configured with the deadline, for
the loads that exceed its capacity.
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
# Callers under way when scores are compared with those of the same requests alone.
TOGETHER = 32
# The share of capacity, without a deadline that binds, at which the ideal queue is compared.
UNHURRIED = 0.8
_UNHURRIED_SECONDS = 30.0
_UNHURRIED_TIMES = 7
_IDLE_SECONDS = 10.0
# A server still busy with requests that nobody waits for would spoil the next phase.
_QUIET_CORES = 0.05
_QUIET_WITHIN_SECONDS = 90.0

Record = dict[str, object]


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        cores: The cores to use.
        requests: How many distinct requests there are.
        seconds: How long each phase lasts.
        seed: Of the order of requests and of the arrivals.
    """

    cores: Sequence[int]
    requests: int
    seconds: float
    seed: int

    def shuffled(self) -> list[int]:
        """The requests' numbers in the order of the loops."""
        numbers = list(range(self.requests))
        random.Random(self.seed).shuffle(numbers)
        return numbers


async def measure(contender: Contender, plan: Plan) -> AsyncIterator[Record]:
    """Measures one contender.

    Raises:
        ContenderError: It can't be started.
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
    """One closed loop on all cores; quick, so that contenders can take turns.

    Raises:
        ContenderError: It can't be started.
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
    """Idle, each request alone, all of them together, and closed loops, on all cores."""
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
    """Closed loops on one core; the capacity is the best of them."""
    requests = plan.shuffled()
    await once_each(contender.ask, requests[: plan.requests // 4], 4)  # warm
    for concurrent in CONCURRENT[1:]:
        async with _accounted(contender.processes) as costs:
            outcomes = await closed(contender.ask, requests, concurrent, plan.seconds)
        yield {"phase": "capacity", "concurrent": concurrent, **summary(outcomes), **costs}


async def _unhurried(contender: Contender, plan: Plan, capacity: float) -> AsyncIterator[Record]:
    """Open loops under capacity, with no deadline that binds: how good is the queue?

    Compares it with an ideal queue over the same arrivals. There, each request takes the time it
    takes on this server alone: in all, and (`bare`) for encoding and graph only. Only Tipstaff
    reports these times. Repeated, each time between two passes alone, because a shared machine's
    speed drifts and one stall makes a 99th percentile.
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
                ideal = ideal_latencies(arrivals, service, lanes=1)
                record |= {f"{kind}_p{part}_ms": percentile_ms(ideal, part) for part in (50, 99)}
            before = after
        yield record


async def _service(contender: Contender, requests: Sequence[int]) -> dict[str, dict[int, float]]:
    """Seconds that each request takes alone, by kind; empty where the contender doesn't tell."""
    spent = contender.processes.cpu_seconds()
    outcomes = await once_each(contender.ask, requests, 1)
    spent = contender.processes.cpu_seconds() - spent
    if not outcomes.service.keys() >= set(requests):
        return {}
    bare = {request: outcomes.service[request][0] for request in requests}
    # What a processor does for a request beside encoding and graph is the same for each.
    rest = max(0.0, (spent - sum(bare.values())) / len(requests))
    return {"ideal": {r: seconds + rest for r, seconds in bare.items()}, "bare": bare}


async def _overload(contender: Contender, plan: Plan, capacity: float) -> AsyncIterator[Record]:
    """Open loops at shares of its capacity, with the deadline."""
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
    """The numbers of a phase: counts, rates a second, times in milliseconds."""
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
    """How many requests got a score that differs in any bit from the one they got alone."""
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
    """Fills in what the phase cost when it is over."""
    costs: Record = {}
    cpu, own, started = processes.cpu_seconds(), time.process_time(), time.perf_counter()
    yield costs
    seconds = time.perf_counter() - started
    costs["cpu_seconds"] = round(processes.cpu_seconds() - cpu, 3)
    costs["generator_cores"] = round((time.process_time() - own) / seconds, 3)
    costs["memory_mb"] = round(processes.memory_bytes() / 1e6, 1)
    costs["peak_mb"] = round(processes.peak_bytes() / 1e6, 1)


async def quiet(processes: Processes) -> None:
    """Waits, for a limited time, until the contender has no work left."""
    give_up = time.monotonic() + _QUIET_WITHIN_SECONDS
    while time.monotonic() < give_up:
        before = processes.cpu_seconds()
        await asyncio.sleep(0.5)
        if processes.cpu_seconds() - before <= 0.5 * _QUIET_CORES:
            return
