"""Measures what senders of texts that are meant to take long do to the calls of others.

    python benchmarks/hostile_senders.py BUNDLE [--data examples/support/test.jsonl] [--seconds 60]
    python benchmarks/hostile_senders.py BUNDLE --batch 128 --size 16384 --hostile-deadline 60

Starts a server of BUNDLE. Two senders send it one such text a second each, as output and ground
truth, each with another text every time and a deadline that leaves time for all of it; with
`--batch`, a batch of so many, each of `--size` bytes. Beside them come ordinary interactions of
DATA, with Poisson arrivals and a deadline of 0.3 s; late by the client's clock counts as late.
Prints one JSON object for a phase without the senders and one with them. Exits with 1 where less
than 99 % of the ordinary calls are in time beside the senders.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from comparison.contender import ask_tipstaff
from comparison.loadgen import Answer, closed, open_loop, percentile_ms, poisson_arrivals
from hostile_samples import NAMES, hostile_text
from local_server import serving

from tipstaff import AsyncClient, Interaction, TipstaffError
from tipstaff_trainer.data import read_rows

_LEAST_IN_TIME = 0.99
_WARM_SECONDS = 2.0


async def send_hostile(
    client: AsyncClient, names: Sequence[str], size: int, batch: int
) -> Counter[str]:
    """Sends a text, or a batch of it, a second until it is cancelled.

    Returns:
        How many interactions ended in which way.
    """
    outcomes: Counter[str] = Counter()

    async def send(name: str) -> None:
        text = hostile_text(name, size // 2)
        texts = [Interaction("What is it?", text, text)] * batch
        results: Sequence[object]
        try:
            results = await client.score_batch(texts)
        except TipstaffError as error:
            results = [error] * batch
        for each in results:
            failed = isinstance(each, TipstaffError)
            outcomes[type(each).__name__ if failed else "answered"] += 1

    try:
        async with asyncio.TaskGroup() as calls:
            while True:
                for name in names:
                    calls.create_task(send(name))
                    await asyncio.sleep(1)
    except asyncio.CancelledError:
        return outcomes


async def drive(target: str, args: argparse.Namespace) -> bool:
    """Runs both phases; returns whether enough calls were in time beside the senders."""
    interactions = [row.interaction for row in read_rows(args.data, labelled=False).rows]
    requests = list(range(len(interactions)))
    random.Random(args.seed).shuffle(requests)
    async with (
        AsyncClient(target, timeout=args.deadline) as client,
        AsyncClient(target, timeout=args.hostile_deadline) as hostile_client,
    ):

        async def ask(request: int, seconds: float) -> Answer:
            return await ask_tipstaff(client, interactions[request], min(seconds, args.deadline))

        await closed(ask, requests, 2, _WARM_SECONDS)
        share = 0.0
        for senders in (0, args.senders):
            names = [random.Random(seed).sample(NAMES, len(NAMES)) for seed in range(senders)]
            sending = [
                asyncio.create_task(send_hostile(hostile_client, each, args.size, args.batch))
                for each in names
            ]
            arrivals = poisson_arrivals(args.rate, args.seconds, args.seed)
            outcomes = await open_loop(ask, requests, arrivals, args.deadline)
            for task in sending:
                task.cancel()
            hostile = sum(await asyncio.gather(*sending), Counter[str]())
            share = len(outcomes.answered) / len(arrivals)
            print(
                json.dumps(
                    {
                        "senders": senders,
                        "ordinary": len(arrivals),
                        "in_time": round(share, 4),
                        "p50_ms": percentile_ms(outcomes.answered, 50),
                        "p99_ms": percentile_ms(outcomes.answered, 99),
                        "errors": dict(outcomes.errors),
                        "hostile": dict(hostile),
                    }
                ),
                flush=True,
            )
    return share >= _LEAST_IN_TIME


def main() -> None:
    """Starts a server, drives it and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=Path("examples/support/test.jsonl"))
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase")
    parser.add_argument("--rate", type=float, default=20.0, help="ordinary calls a second")
    parser.add_argument("--deadline", type=float, default=0.3, help="of ordinary calls")
    parser.add_argument("--senders", type=int, default=2, help="of texts that take long")
    parser.add_argument("--size", type=int, default=131000, help="bytes of such a text")
    parser.add_argument("--batch", type=int, default=1, help="such texts in one call")
    parser.add_argument("--hostile-deadline", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with serving(args.bundle) as server:
        sys.exit(0 if asyncio.run(drive(server.target, args)) else 1)


if __name__ == "__main__":
    main()
