"""What one request takes, by length, through the server's own session."""

from __future__ import annotations

import time

import numpy as np
from pydantic import BaseModel, ConfigDict

from tipstaff_server.evaluator import Evaluator

_LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
_SECONDS_PER_LENGTH = 0.5
_MOST_RUNS = 50
_FEWEST_RUNS = 5


class Latency(BaseModel):
    """One request alone on one thread, encoding aside.

    Attributes:
        tokens: In the run.
        median_ms: Of all runs.
        p90_ms: Nine of ten runs are quicker.
        runs: How many.
    """

    model_config = ConfigDict(frozen=True)

    tokens: int
    median_ms: float
    p90_ms: float
    runs: int


def measure_latency(evaluator: Evaluator) -> tuple[Latency, ...]:
    """Runs the graph on fillers of doubling length up to the evaluator's limit."""
    longest = evaluator.manifest.encoding.max_length
    lengths = sorted({*(length for length in _LENGTHS if length < longest), longest})
    return tuple(_measure(evaluator, length) for length in lengths)


def _measure(evaluator: Evaluator, length: int) -> Latency:
    encoded = evaluator.filler(length)
    evaluator.run([encoded])
    taken: list[float] = []
    while len(taken) < _FEWEST_RUNS or (
        len(taken) < _MOST_RUNS and sum(taken) < _SECONDS_PER_LENGTH
    ):
        started = time.perf_counter()
        evaluator.run([encoded])
        taken.append(time.perf_counter() - started)
    median, p90 = (float(value) * 1e3 for value in np.quantile(taken, [0.5, 0.9]))
    return Latency(tokens=len(encoded), median_ms=median, p90_ms=p90, runs=len(taken))
