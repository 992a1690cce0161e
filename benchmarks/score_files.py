"""Measures `tipstaff score-file`: its speed, and its memory.

    python benchmarks/score_files.py speed BUNDLE DATA [--rows 50000] [--rounds 3]
    python benchmarks/score_files.py memory BUNDLE [--rows 10000 100000 1000000]

`speed` writes a file with the rows of DATA, again and again with a number behind each output, and
scores it with one process, with two, and in a plain loop over the evaluator on one thread. The
three take turns; ratios are medians over the rounds. They are printed for rows a second, and for
rows a second of processor time, since a machine that others use has less of the first.

`memory` scores files of so many short rows with two processes, and prints the most memory that the
command's own process had, and the most of one that scores.

Prints one JSON object a run, then the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from tipstaff.types import FIELDS
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import read_rows

_POLL = 0.2
_MIB = 1024.0


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed")
    speed.add_argument("bundle", type=Path)
    speed.add_argument("data", type=Path)
    speed.add_argument("--rows", type=int, default=50_000)
    speed.add_argument("--rounds", type=int, default=3)
    memory = commands.add_parser("memory")
    memory.add_argument("bundle", type=Path)
    memory.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.command == "speed":
            _measure_speed(args.bundle, args.data, Path(folder), args.rows, args.rounds)
        else:
            _measure_memory(args.bundle, Path(folder), args.rows)


def _measure_speed(bundle: Path, data: Path, folder: Path, rows: int, rounds: int) -> None:
    file = folder / "rows.jsonl"
    _write(file, islice(_numbered(data), rows))
    taken: dict[str, list[dict[str, float]]] = {"loop": [], "one": [], "two": []}
    for number in range(rounds):
        for name in taken:
            if name == "loop":
                record = _loop(bundle, file)
            else:
                record, _ = _score_file(bundle, file, folder, 1 if name == "one" else 2)
            taken[name].append(record)
            print(json.dumps({"round": number, "run": name, "rows": rows, **record}), flush=True)
    for name, first, second in (
        ("two processes, of one", "two", "one"),
        ("one process, of the loop", "one", "loop"),
    ):
        for what in ("seconds", "processor_seconds"):
            ratios = [
                other[what] / each[what]
                for each, other in zip(taken[first], taken[second], strict=True)
            ]
            print(f"{name}, by {what}: {statistics.median(ratios):.2f}")


def _measure_memory(bundle: Path, folder: Path, counts: list[int]) -> None:
    for rows in counts:
        file = folder / f"{rows}.jsonl"
        _write(file, ({"id": n, "output": f"It is {n}."} for n in range(rows)))
        record, memory = _score_file(bundle, file, folder, 2)
        print(json.dumps({"rows": rows, **record, **memory}), flush=True)
        file.unlink()


def _numbered(data: Path) -> Iterator[dict[str, Any]]:
    interactions = [row.interaction for row in read_rows(data, labelled=False).rows]
    for number, each in enumerate(cycle(interactions)):
        texts = {str(name): each.get(name) for name in FIELDS}
        yield {**texts, "output": f"{each.output} {number}", "id": number}


def _write(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


def _score_file(
    bundle: Path, file: Path, folder: Path, processes: int
) -> tuple[dict[str, float], dict[str, float]]:
    out = folder / "scored.jsonl"
    words = ["score-file", file, "--bundle", bundle, "--out", out, "--processes", processes]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, "-m", "tipstaff", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    own = scorer = 0.0
    while process.poll() is None:
        own = max(own, _resident(process.pid))
        scorer = max([scorer, *map(_resident, _children(process.pid))])
        time.sleep(_POLL)
    if process.returncode:
        raise SystemExit(f"score-file ended with {process.returncode}")
    out.unlink()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    record = {"seconds": time.perf_counter() - started, "processor_seconds": spent}
    return record, {"own_mib": own, "scorer_mib": scorer}


def _loop(bundle: Path, file: Path) -> dict[str, float]:
    # A process of its own, so that it starts as the others do.
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_run_loop, (bundle, file))


def _run_loop(bundle: Path, file: Path) -> dict[str, float]:
    started, before = time.perf_counter(), time.process_time()
    evaluator = Evaluator.load(bundle)
    for row in read_rows(file, labelled=False).rows:
        evaluator.score(row.interaction)
    return {
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - before,
    }


def _resident(pid: int) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def _children(pid: int) -> list[int]:
    try:
        return [each.pid for each in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
