"""Drives a running server with real interactions and prints throughput, latency and errors.

    tipstaff serve BUNDLE
    python benchmarks/load.py DATA --target localhost:50051 --closed 1 8 32 --open 50 100

DATA is a file that `tipstaff train` reads. Closed loop: so many callers, each waiting for its
answer before it asks again. Open loop: requests a second with Poisson arrivals, whether or not the
server keeps up; their latency counts from when they were due, so that a stall is not hidden by the
generator stalling with it. Prints one JSON object a phase.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tipstaff import AsyncClient, Interaction
from tipstaff.errors import ScoringError
from tipstaff_trainer.data import read_rows


class Load:
    """One phase: its requests, their latencies in seconds, and their errors by status."""

    def __init__(
        self, client: AsyncClient, interactions: Iterator[Interaction], deadline: float
    ) -> None:
        self._client = client
        self._interactions = interactions
        self._deadline = deadline
        self._latencies: list[float] = []
        self._errors: Counter[str] = Counter()

    async def closed(self, callers: int, seconds: float) -> dict[str, object]:
        """Keeps `callers` requests under way for so long."""
        until = time.perf_counter() + seconds

        async def call() -> None:
            while (due := time.perf_counter()) < until:
                await self._ask(due)

        started = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        return {
            "loop": "closed",
            "concurrent": callers,
            **self._summary(time.perf_counter() - started),
        }

    async def open(self, rate: float, seconds: float, seed: int) -> dict[str, object]:
        """Sends `rate` requests a second on average for so long."""
        generator = random.Random(seed)
        asked: set[asyncio.Task[None]] = set()
        started = due = time.perf_counter()
        while (due := due + generator.expovariate(rate)) < started + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.add(asyncio.create_task(self._ask(due)))
        await asyncio.gather(*asked)
        return {"loop": "open", "rate": rate, **self._summary(time.perf_counter() - started)}

    async def _ask(self, due: float) -> None:
        interaction = next(self._interactions)
        try:
            await self._client.score(
                input=interaction.input,
                output=interaction.output,
                ground_truth=interaction.ground_truth,
                timeout=self._deadline,
            )
        except ScoringError as error:
            self._errors[error.code] += 1
        else:
            self._latencies.append(time.perf_counter() - due)

    def _summary(self, seconds: float) -> dict[str, object]:
        return {
            "answered": len(self._latencies),
            "per_second": round(len(self._latencies) / seconds, 1),
            "p50_ms": self._percentile(50),
            "p99_ms": self._percentile(99),
            "errors": dict(self._errors),
        }

    def _percentile(self, percent: float) -> float | None:
        """Of the latencies of what was answered, in milliseconds."""
        if not self._latencies:
            return None
        return round(float(np.percentile(self._latencies, percent)) * 1000, 2)


async def drive(args: argparse.Namespace) -> None:
    """Runs the phases one after the other."""
    interactions = [row.interaction for row in read_rows(args.data, labelled=False).rows]
    random.Random(args.seed).shuffle(interactions)
    endless = itertools.cycle(interactions)
    async with AsyncClient(args.target, evaluator=args.evaluator) as client:
        await Load(client, endless, args.deadline).closed(2, 1.0)  # warm
        for callers in args.closed:
            load = Load(client, endless, args.deadline)
            print(json.dumps(await load.closed(callers, args.seconds)), flush=True)
        for rate in args.open:
            load = Load(client, endless, args.deadline)
            print(json.dumps(await load.open(rate, args.seconds, args.seed)), flush=True)


def main() -> None:
    """Reads the arguments and drives the server."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", default="localhost:50051")
    parser.add_argument("--evaluator", default="")
    parser.add_argument("--closed", type=int, nargs="*", default=[1, 8, 32], metavar="CALLERS")
    parser.add_argument("--open", type=float, nargs="*", default=[50, 100], metavar="RATE")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--deadline", type=float, default=1.0, help="seconds of each request")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(drive(parser.parse_args()))


if __name__ == "__main__":
    main()
