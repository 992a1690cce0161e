"""The ceiling: the evaluator in the fastest loop, without a server.

    python in_process.py BUNDLE TEXTS

Reads one JSON object per line and answers each with one: `{"threads": 2, "seconds": 10}` keeps two
threads busy for ten seconds; each thread encodes, runs and predicts one request after the other.
TEXTS has the requests as JSON lines.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from pathlib import Path

from tipstaff import Interaction
from tipstaff_server.evaluator import Evaluator


def work(
    evaluator: Evaluator, requests: list[Interaction], threads: int, seconds: float
) -> dict[str, object]:
    """Scores until the time is over; returns each request's number, score and seconds."""
    numbers = itertools.count()
    until = time.perf_counter() + seconds
    answers: list[tuple[int, float, float]] = []  # appending is safe from several threads

    def loop() -> None:
        while (started := time.perf_counter()) < until:
            request = next(numbers) % len(requests)
            score = evaluator.score(requests[request]).score
            answers.append((request, score, time.perf_counter() - started))

    started = time.perf_counter()
    workers = [threading.Thread(target=loop) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"seconds": time.perf_counter() - started, "answers": answers}


def main() -> None:
    """Answers the lines of standard input."""
    evaluator = Evaluator.load(Path(sys.argv[1]))
    lines = Path(sys.argv[2]).read_text().splitlines()
    requests = [Interaction(**json.loads(line)) for line in lines]
    evaluator.warm_up()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(work(evaluator, requests, **request)), flush=True)


if __name__ == "__main__":
    main()
