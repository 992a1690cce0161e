"""The ceiling: the evaluator in the best loop there is, with no server around it.

    python in_process.py BUNDLE TEXTS

Reads one JSON object a line, runs it, and answers with one: `{"threads": 2, "seconds": 10}` keeps
two threads busy for ten seconds; each encodes, runs and decides one request after the other.
TEXTS holds the requests as JSON lines.
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
    """Scores until the time is over; returns request numbers, seconds of each, and scores."""
    following = itertools.count()
    until = time.perf_counter() + seconds
    answers: list[tuple[int, float, float]] = []  # appending is safe from several threads

    def loop() -> None:
        while (started := time.perf_counter()) < until:
            request = next(following) % len(requests)
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
    """Serves standard input."""
    evaluator = Evaluator.load(Path(sys.argv[1]))
    lines = Path(sys.argv[2]).read_text().splitlines()
    requests = [Interaction(**json.loads(line)) for line in lines]
    evaluator.warm_up()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(work(evaluator, requests, **asked)), flush=True)


if __name__ == "__main__":
    main()
