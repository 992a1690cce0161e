"""Loads each door of a gateway beside gRPC, and compares scores, times and processor time.

    python benchmarks/gateway.py BUNDLE DATA [--tokens 64] [--doors native kserve ...]
        [--seconds 60] [--rounds 1]

DATA is a file that `tipstaff train` reads; with `--tokens` the interactions of it that come nearest
to so many tokens are sent. Starts a server and a gateway in front of it. A round
drives gRPC, then each door, with 1 and with 32 callers in a closed loop for `--seconds` each.
Prints one JSON object for each phase, and one for each door: its p50 at 1 caller over gRPC's,
its throughput at 32 callers over gRPC's (medians over rounds), and how many scores differed from
gRPC's first score of the same interaction. Doors whose replies have no score are compared by
verdict. Callers, gateway and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc.aio
import psutil
from comparison.loadgen import percentile_ms
from gateway_doors import DEADLINE_SECONDS, DOORS, VERDICT_OF, Doors, mapping_of
from local_server import serving

from tipstaff import AsyncClient, Interaction, Score
from tipstaff_trainer.data import read_rows

_CALLERS = (1, 32)
# Of the data, from which `--tokens` chooses.
_CANDIDATES = 1000
_START_SECONDS = 60.0

# Asks for one interaction; gives its score, or its verdict where the protocol has no score.
Ask = Callable[[Interaction], Awaitable[float | str]]


@dataclass(slots=True)
class Gateway:
    """A gateway that is ready."""

    process: subprocess.Popen[bytes]
    url: str
    grpc_address: str


@dataclass(slots=True)
class Phase:
    """The answers of one phase: their seconds, and how many were other than expected."""

    seconds: list[float] = field(default_factory=list)
    differing: int = 0
    failed: int = 0


@contextmanager
def gateway_before(target: str, evaluator: str) -> Iterator[Gateway]:
    """Runs a gateway before a server; only BLOCK and missing fields block, not REVIEW."""
    with tempfile.TemporaryDirectory() as place:
        mapping = Path(place) / "mapping.toml"
        mapping.write_text(mapping_of(evaluator))
        log = Path(place) / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tipstaff", "gateway", "--target", target),
                    *("--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"),
                    *("--timeout", str(DEADLINE_SECONDS), "--mapping", str(mapping)),
                ],
                stderr=stderr,
            )
        try:
            give_up = time.monotonic() + _START_SECONDS
            while not (match := re.search(r"HTTP on (\S+),", log.read_text())):
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"the gateway doesn't start:\n{log.read_text()}")
                time.sleep(0.1)
            rpc = re.search(r"gRPC on (\S+)", log.read_text())
            assert rpc
            yield Gateway(process, match[1], rpc[1])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


async def load(
    ask: Ask,
    interactions: Sequence[Interaction],
    expected: Sequence[float | str],
    callers: int,
    seconds: float,
) -> Phase:
    """Runs callers in a closed loop; each goes on with the next interaction."""
    phase, until, position = Phase(), time.perf_counter() + seconds, 0

    async def caller() -> None:
        nonlocal position
        while (started := time.perf_counter()) < until:
            number, position = position % len(interactions), position + 1
            try:
                answer = await ask(interactions[number])
            except (aiohttp.ClientError, grpc.aio.AioRpcError, TimeoutError):
                phase.failed += 1
                continue
            phase.seconds.append(time.perf_counter() - started)
            phase.differing += answer != expected[number]

    await asyncio.gather(*(caller() for _ in range(callers)))
    return phase


async def drive(args: argparse.Namespace, target: str, server: psutil.Process, to: Gateway) -> None:
    """Runs all rounds and prints what they give."""
    interactions = [row.interaction for row in read_rows(args.data, labelled=False).rows]
    interactions = [
        each for each in interactions if each.input and each.output and each.ground_truth
    ][: _CANDIDATES if args.tokens else args.interactions]
    gateway = psutil.Process(to.process.pid)
    p50: dict[tuple[str, int], list[float]] = defaultdict(list)
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    differing: dict[str, int] = defaultdict(int)
    async with (
        AsyncClient(target, timeout=DEADLINE_SECONDS) as client,
        aiohttp.ClientSession(to.url, connector=aiohttp.TCPConnector(limit=64)) as http,
        grpc.aio.insecure_channel(to.grpc_address) as channel,
    ):
        doors = Doors(client, http, channel, args.evaluator)
        scored = [
            (
                each,
                await client.score(
                    input=each.input, output=each.output, ground_truth=each.ground_truth
                ),
            )
            for each in interactions
        ]
        if args.tokens:
            scored.sort(key=lambda pair: abs(_tokens(pair[1]) - args.tokens))
        scored = scored[: args.interactions]
        interactions, first = [each for each, _ in scored], [score for _, score in scored]
        print(
            json.dumps(
                {
                    "interactions": len(first),
                    "tokens": round(statistics.mean(map(_tokens, first)), 1),
                }
            )
        )
        scores: list[float | str] = [each.score or 0.0 for each in first]
        expected = {
            name: [VERDICT_OF[name](each) for each in first] if name in VERDICT_OF else scores
            for name in (*DOORS, "grpc")
        }
        for number in range(args.rounds):
            for callers in _CALLERS:
                for name in ("grpc", *args.doors):
                    ask = getattr(doors, name)
                    await load(ask, interactions, expected[name], 2, 0.5)
                    cpu = _cpu(server), _cpu(gateway), time.process_time()
                    phase = await load(ask, interactions, expected[name], callers, args.seconds)
                    spent = _cpu(server), _cpu(gateway), time.process_time()
                    count = max(1, len(phase.seconds))
                    each_ms = [
                        round((after - before) / count * 1e3, 2)
                        for before, after in zip(cpu, spent, strict=True)
                    ]
                    p50[name, callers].append(percentile_ms(phase.seconds, 50) or float("nan"))
                    rates[name, callers].append(count / args.seconds)
                    differing[name] += phase.differing
                    print(
                        json.dumps(
                            {
                                "round": number,
                                "door": name,
                                "callers": callers,
                                "answers": len(phase.seconds),
                                "failed": phase.failed,
                                "differing": phase.differing,
                                "per_second": round(rates[name, callers][-1], 1),
                                "p50_ms": p50[name, callers][-1],
                                "p99_ms": percentile_ms(phase.seconds, 99),
                                "cpu_ms_server_gateway_caller": each_ms,
                            }
                        ),
                        flush=True,
                    )
    for name in args.doors:
        over = [a - b for a, b in zip(p50[name, 1], p50["grpc", 1], strict=True)]
        share = [a / b for a, b in zip(rates[name, 32], rates["grpc", 32], strict=True)]
        print(
            json.dumps(
                {
                    "door": name,
                    "p50_ms_over_grpc_at_1": round(statistics.median(over), 2),
                    "throughput_of_grpc_at_32": round(statistics.median(share), 2),
                    "differing": differing[name],
                }
            )
        )


def _tokens(score: Score) -> int:
    return sum(each.total for each in score.coverage.values())


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Reads the command line, starts server and gateway, and drives them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--doors", nargs="+", choices=DOORS, default=DOORS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--interactions", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=0)
    args = parser.parse_args()
    args.evaluator = json.loads((args.bundle / "manifest.json").read_text())["name"]
    with serving(args.bundle) as server, gateway_before(server.target, args.evaluator) as gateway:
        process = psutil.Process(server.process.pid)
        asyncio.run(drive(args, server.target, process, gateway))


if __name__ == "__main__":
    main()
