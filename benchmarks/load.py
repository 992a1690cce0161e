"""Drives a running server with real interactions and prints throughput, latency and errors.

    tipstaff serve BUNDLE
    python benchmarks/load.py DATA --target localhost:50051 --closed 1 8 32 --open 50 100

DATA is a file that `tipstaff train` reads. Closed loop: each of the callers waits for its answer
before it sends the next request. Open loop: requests come at a given rate, with Poisson arrivals,
whether or not the server keeps up; latency counts from the time at which a request was due, so a
generator that stalls together with the server hides nothing. Prints one JSON object per phase.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from pathlib import Path

from comparison.contender import ask_tipstaff
from comparison.loadgen import Answer, Outcomes, closed, open_loop, percentile_ms, poisson_arrivals

from tipstaff import AsyncClient
from tipstaff_trainer.data import read_rows

_WARM_CALLERS, _WARM_SECONDS = 2, 1.0


async def drive(args: argparse.Namespace) -> None:
    """Runs the phases one after the other."""
    interactions = [row.interaction for row in read_rows(args.data, labelled=False).rows]
    requests = list(range(len(interactions)))
    random.Random(args.seed).shuffle(requests)
    async with AsyncClient(args.target, evaluator=args.evaluator) as client:

        async def ask(request: int, seconds: float) -> Answer:
            return await ask_tipstaff(client, interactions[request], min(seconds, args.deadline))

        await closed(ask, requests, _WARM_CALLERS, _WARM_SECONDS)
        for callers in args.closed:
            outcomes = await closed(ask, requests, callers, args.seconds)
            print(
                json.dumps({"loop": "closed", "concurrent": callers} | summary(outcomes)),
                flush=True,
            )
        for rate in args.open:
            arrivals = poisson_arrivals(rate, args.seconds, args.seed)
            outcomes = await open_loop(ask, requests, arrivals, args.deadline)
            print(json.dumps({"loop": "open", "rate": rate} | summary(outcomes)), flush=True)


def summary(outcomes: Outcomes) -> dict[str, object]:
    """Returns the numbers of a phase: answers, rate, latency and errors."""
    return {
        "answered": len(outcomes.answered),
        "per_second": round(len(outcomes.answered) / outcomes.seconds, 1),
        "p50_ms": percentile_ms(outcomes.answered, 50),
        "p99_ms": percentile_ms(outcomes.answered, 99),
        "errors": dict(outcomes.errors),
    }


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
