"""What one caller's flood takes from the others: their goodput alone, and beside the flood.

    python benchmarks/fairness.py

A server with one worker and two callers of equal weight. The calm one asks a fixed number of
interactions a second, a part of what the worker can do, each with a deadline of 0.3 s. The other
asks in batches from several threads of another process, as fast as it is answered, with a pause of
10 ms after a refused call. That process has the lowest priority, as it stands for another machine:
else the flood would take the processor from the server, and not only its share of the server.

Rounds alternate between alone and beside the flood, so that a slower machine hits both. Exits with
1 if the calm caller's answers in time are less than 95 % of those alone. Needs a machine with
nothing else to do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

from local_server import serving

from tipstaff import Client, Interaction, ScoringError

_TEXT = Interaction("paris is it", "paris is the capital of france", "france in paris")
_KEY = "x-app"
_DEADLINE = 0.3
_LEAST = 0.95
_PAUSE = 0.01


def calm(target: str, rate: float, seconds: float, threads: int = 4) -> float:
    """Answers in time a second, of a caller that asks at a rate."""
    answered = [0] * threads
    started = time.monotonic()

    def run(number: int) -> None:
        with Client(target, timeout=_DEADLINE, metadata={_KEY: "calm"}) as client:
            for index in range(number, int(rate * seconds), threads):
                time.sleep(max(0.0, started + index / rate - time.monotonic()))
                begin = time.monotonic()
                try:
                    client.score(output=_TEXT.output, input=_TEXT.input, ground_truth=_TEXT.output)
                except ScoringError:
                    continue
                answered[number] += time.monotonic() - begin <= _DEADLINE

    _join([threading.Thread(target=run, args=(number,)) for number in range(threads)])
    return sum(answered) / seconds


def flood(target: str, over: Event, threads: int, results: Queue[tuple[int, int]]) -> None:
    """Asks as much as is answered, until told to stop; puts its answers and refusals."""
    os.nice(19)
    counts = [0, 0]

    def run() -> None:
        with Client(target, timeout=_DEADLINE, metadata={_KEY: "flood"}) as client:
            while not over.is_set():
                try:
                    scores = client.score_batch([_TEXT] * 16)
                except ScoringError:
                    counts[1] += 16
                    time.sleep(_PAUSE)
                    continue
                refused = sum(isinstance(each, ScoringError) for each in scores)
                counts[0] += len(scores) - refused
                counts[1] += refused

    _join([threading.Thread(target=run) for _ in range(threads)])
    results.put((counts[0], counts[1]))


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    """Reads the arguments, runs the rounds and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=20.0, help="the calm caller's, a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each phase")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4, help="of the flood")
    args = parser.parse_args()
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from tiny_bundle import make_bundle

    # gRPC doesn't survive a fork.
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        # A run takes some ten milliseconds.
        bundle = make_bundle(Path(folder) / "slow", run_cost=600, batch_invariant=False)
        with serving(bundle, "--workers", 1, "--caller-key", _KEY) as server:
            calm(server.target, args.rate, 3.0)
            print("| round | alone, a second | beside the flood | flood: answered | refused |")
            print("| --- | --- | --- | --- | --- |")
            shares = []
            for number in range(args.rounds):
                alone = calm(server.target, args.rate, args.seconds)
                over, results = context.Event(), context.Queue()
                flooding = context.Process(
                    target=flood, args=(server.target, over, args.threads, results)
                )
                flooding.start()
                time.sleep(4.0)
                beside = calm(server.target, args.rate, args.seconds)
                over.set()
                counts = results.get()
                flooding.join()
                shares.append(beside / max(alone, 1e-9))
                print(f"| {number + 1} | {alone:.1f} | {beside:.1f} | {counts[0]} | {counts[1]} |")
                time.sleep(3.0)
    median = statistics.median(shares)
    print(f"median share kept: {median:.3f}")
    return int(median < _LEAST)


if __name__ == "__main__":
    sys.exit(main())
