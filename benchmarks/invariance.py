"""Checks on running servers that scores don't depend on load, threads or batches.

    python benchmarks/invariance.py BUNDLE DATA

Scores DATA's interactions one after the other on an idle server, then 64 at a time in another
order, then 64 at a time through ScoreBatch; and all three again on a server with two threads per
run. The last line printed is one JSON object: `differing` counts the interactions that got a score
other than their first one, even in the last bit. Exits with 1 unless it is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from local_server import serving

from tipstaff import AsyncClient, Interaction
from tipstaff.types import Score
from tipstaff_trainer.data import read_rows

_TIMEOUT = 60.0
_SETTINGS = ((), ("--threads", 2))

Scores = list[float]
Ask = Callable[[AsyncClient, Sequence[Interaction], int], Awaitable[Scores]]


async def alone(client: AsyncClient, interactions: Sequence[Interaction], at_a_time: int) -> Scores:
    """Scores one interaction after the other."""
    return [await _score(client, interaction) for interaction in interactions]


async def together(
    client: AsyncClient, interactions: Sequence[Interaction], at_a_time: int
) -> Scores:
    """Scores in random order with a fixed number of concurrent calls."""
    order = list(range(len(interactions)))
    random.Random(0).shuffle(order)
    scores = [0.0] * len(order)
    left = iter(order)

    async def ask() -> None:
        for index in left:
            scores[index] = await _score(client, interactions[index])

    await asyncio.gather(*(ask() for _ in range(at_a_time)))
    return scores


async def in_batches(
    client: AsyncClient, interactions: Sequence[Interaction], at_a_time: int
) -> Scores:
    """Scores through ScoreBatch, in batches of a fixed size."""
    scores: Scores = []
    for start in range(0, len(interactions), at_a_time):
        answers = await client.score_batch(
            interactions[start : start + at_a_time], timeout=_TIMEOUT
        )
        scores += [_value(answer) for answer in answers]
    return scores


async def _score(client: AsyncClient, interaction: Interaction) -> float:
    return _value(
        await client.score(
            input=interaction.input,
            output=interaction.output,
            ground_truth=interaction.ground_truth,
            timeout=_TIMEOUT,
        )
    )


def _value(answer: object) -> float:
    if isinstance(answer, Score) and answer.score is not None:
        return answer.score
    raise SystemExit(f"an interaction has no score: {answer}")


async def check(
    target: str, interactions: Sequence[Interaction], at_a_time: int
) -> dict[str, Scores]:
    """Returns one server's scores for each way to call it."""
    ways: tuple[Ask, ...] = (alone, together, in_batches)
    async with AsyncClient(target) as client:
        return {way.__name__: await way(client, interactions, at_a_time) for way in ways}


def main() -> None:
    """Scores in every way, compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="a file that `tipstaff train` reads")
    parser.add_argument("--concurrent", type=int, default=64)
    args = parser.parse_args()
    rows = read_rows(args.data, labelled=False).rows
    # Duplicates would prove nothing more.
    interactions = list(dict.fromkeys(row.interaction for row in rows))
    reference: Scores = []
    differing: set[int] = set()
    for flags in _SETTINGS:
        with serving(args.bundle, *flags) as server:
            scores_by_way = asyncio.run(check(server.target, interactions, args.concurrent))
        for way, scores in scores_by_way.items():
            reference = reference or scores
            changed = [
                n
                for n, pair in enumerate(zip(reference, scores, strict=True))
                if pair[0] != pair[1]
            ]
            differing.update(changed)
            name = " ".join(map(str, flags)) or "defaults"
            print(f"{name:12} {way:11} {len(changed)} of {len(scores)} differ", flush=True)
    print(
        json.dumps(
            {
                "interactions": len(interactions),
                "concurrent": args.concurrent,
                "differing": len(differing),
            }
        )
    )
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
