"""A server as a sidecar: on a fraction of a core and little memory, under a long mix of lengths.

    sudo python benchmarks/sidecar.py BUNDLE DATA [--cpus 0.5] [--megabytes 512] [--minutes 5]

Starts the server in control groups of its own with these limits, then keeps it busy with the
interactions of DATA, every fourth of them grown to many times its length. Prints one JSON object a
minute, and in the end one with what an operator looks at: `threads`, memory after the first minute
and at the end, latency and errors. Needs to be root, for the control groups
(version 1 or 2).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from load import Load
from local_server import serving

from tipstaff import AsyncClient, Interaction
from tipstaff_trainer.data import read_rows

_MOUNT = Path("/sys/fs/cgroup")
_GROUP = "tipstaff-sidecar"
_PERIOD = 100_000  # microseconds, the kernel's default
_LONG = 12  # an output repeated so often comes to hundreds of tokens


@contextmanager
def limits(cpus: float, megabytes: int) -> Iterator[list[str]]:
    """Control groups with these limits; yields what to start a command through to be in them."""
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


def mixed(interactions: Sequence[Interaction]) -> Iterator[Interaction]:
    """All of them again and again, every fourth with a long output."""
    for number, each in enumerate(itertools.cycle(interactions)):
        long = number % 4 == 3
        output = " ".join([each.output or ""] * _LONG) if long else each.output
        yield Interaction(each.input, output, each.ground_truth)


async def drive(
    target: str, process: psutil.Process, interactions: Iterator[Interaction], minutes: int
) -> list[dict[str, object]]:
    """Two callers, minute by minute."""
    told: list[dict[str, object]] = []
    async with AsyncClient(target) as client:
        for minute in range(1, minutes + 1):
            load = Load(client, interactions, deadline=5.0)
            found = await load.closed(2, 60.0)
            memory = process.memory_info().rss / 2**20
            told.append({"minute": minute, **found, "rss_mb": round(memory, 1)})
            print(json.dumps(told[-1]), flush=True)
    return told


def main() -> None:
    """Reads the arguments and runs the server within its limits."""
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
