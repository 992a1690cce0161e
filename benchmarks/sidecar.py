"""Runs a server as a sidecar: a fraction of a core, little memory, texts of mixed length.

    sudo python benchmarks/sidecar.py BUNDLE DATA [--cpus 0.5] [--megabytes 512] [--minutes 5]

Starts the server in its own control groups with these limits, then keeps it busy with the
interactions of DATA, every fourth of which gets an output of many times its length. Prints one JSON
object per minute, and a last one with what an operator looks at: `threads`, memory after the first
minute and at the end, processor time and errors. Needs root for the control groups (version 1 or
2).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
from comparison.contender import ask_tipstaff
from comparison.loadgen import Answer, closed
from load import summary
from local_server import serving

from tipstaff import AsyncClient, Interaction
from tipstaff_trainer.data import read_rows

_MOUNT = Path("/sys/fs/cgroup")
_GROUP = "tipstaff-sidecar"
_PERIOD = 100_000  # microseconds, the kernel's default
_DEADLINE = 5.0  # seconds of each request
_LONG = 12  # repetitions that make an output hundreds of tokens long


@contextmanager
def limits(cpus: float, megabytes: int) -> Iterator[list[str]]:
    """Creates control groups with these limits; yields the words that start a command in them."""
    quota, size = int(cpus * _PERIOD), megabytes * 2**20
    if (_MOUNT / "cgroup.controllers").is_file():
        (_MOUNT / "cgroup.subtree_control").write_text("+cpu +memory")
        folders = {_MOUNT / _GROUP: {"cpu.max": f"{quota} {_PERIOD}", "memory.max": f"{size}"}}
    else:
        folders = {
            _MOUNT / "cpu" / _GROUP: {"cpu.cfs_quota_us": f"{quota}"},
            _MOUNT / "memory" / _GROUP: {"memory.limit_in_bytes": f"{size}"},
        }
    try:
        for folder, values in folders.items():
            folder.mkdir(exist_ok=True)
            for name, value in values.items():
                (folder / name).write_text(value)
        joins = "; ".join(f"echo $$ > {folder}/cgroup.procs" for folder in folders)
        yield ["sh", "-c", f'set -e; {joins}; exec "$@"', "sh"]
    finally:
        for folder in folders:
            if folder.is_dir():
                folder.rmdir()


def mixed(interactions: Sequence[Interaction]) -> list[Interaction]:
    """Returns the interactions, every fourth with a long output."""
    return [
        replace(each, output=" ".join([each.output or ""] * _LONG)) if number % 4 == 3 else each
        for number, each in enumerate(interactions)
    ]


async def drive(
    target: str, process: psutil.Process, interactions: Sequence[Interaction], minutes: int
) -> list[dict[str, object]]:
    """Runs two callers; each minute continues with the request after the last one's."""
    phases: list[dict[str, object]] = []
    requests, position = list(range(len(interactions))), 0
    async with AsyncClient(target) as client:

        async def ask(request: int, seconds: float) -> Answer:
            return await ask_tipstaff(client, interactions[request], min(seconds, _DEADLINE))

        for minute in range(1, minutes + 1):
            outcomes = await closed(ask, requests[position:] + requests[:position], 2, 60.0)
            position = (position + len(outcomes.requests)) % len(requests)
            memory = process.memory_info().rss / 2**20
            phases.append({"minute": minute, **summary(outcomes), "rss_mb": round(memory, 1)})
            print(json.dumps(phases[-1]), flush=True)
    return phases


def main() -> None:
    """Reads the arguments, runs the server within its limits and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="a file that `tipstaff train` reads")
    parser.add_argument("--cpus", type=float, default=0.5)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--minutes", type=int, default=5)
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("making control groups takes root: run it with sudo")
    rows = read_rows(args.data, labelled=False).rows
    with (
        limits(args.cpus, args.megabytes) as wrapper,
        serving(args.bundle, wrapper=wrapper) as server,
    ):
        process = psutil.Process(server.process.pid)
        interactions = mixed([row.interaction for row in rows])
        phases = asyncio.run(drive(server.target, process, interactions, args.minutes))
        seconds = process.cpu_times()
        print(
            json.dumps(
                {
                    "cpus": args.cpus,
                    "megabytes": args.megabytes,
                    "threads": process.num_threads(),
                    "rss_mb_first_minute": phases[0]["rss_mb"],
                    "rss_mb_last_minute": phases[-1]["rss_mb"],
                    "cpu_seconds": round(seconds.user + seconds.system, 1),
                    "errors": [phase["errors"] for phase in phases if phase["errors"]],
                }
            )
        )


if __name__ == "__main__":
    main()
