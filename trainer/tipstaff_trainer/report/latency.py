"""What one request takes, by length, through the server's own session."""

from __future__ import annotations

import time
from collections.abc import Sequence

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


def measure_latency(*evaluators: Evaluator) -> list[tuple[Latency, ...]]:
    """Runs graphs on fillers of doubling length up to each evaluator's limit.

    Several evaluators take turns, so that whatever else the machine does slows all of them alike.

    Returns:
        A tuple for each evaluator, by length.
    """
    longest = max(evaluator.manifest.encoding.max_length for evaluator in evaluators)
    found: list[list[Latency]] = [[] for _ in evaluators]
    for length in sorted({*(length for length in _LENGTHS if length < longest), longest}):
        # Of two lengths that are both over an evaluator's limit, the first is that limit.
        readers = [
            place
            for place in range(len(evaluators))
            if not found[place] or found[place][-1].tokens < _limit(evaluators[place])
        ]
        for place, point in zip(
            readers, _measure([evaluators[each] for each in readers], length), strict=True
        ):
            found[place].append(point)
    return [tuple(points) for points in found]


def _limit(evaluator: Evaluator) -> int:
    return evaluator.manifest.encoding.max_length


def _measure(evaluators: Sequence[Evaluator], length: int) -> list[Latency]:
    inputs = [[evaluator.filler(length)] for evaluator in evaluators]
    taken: list[list[float]] = [[] for _ in evaluators]
    for evaluator, batch in zip(evaluators, inputs, strict=True):
        evaluator.run(batch)
    while len(taken[0]) < _FEWEST_RUNS or (
        len(taken[0]) < _MOST_RUNS and sum(taken[0]) < _SECONDS_PER_LENGTH
    ):
        for evaluator, batch, times in zip(evaluators, inputs, taken, strict=True):
            started = time.perf_counter()
            evaluator.run(batch)
            times.append(time.perf_counter() - started)
    return [
        Latency(
            tokens=len(batch[0]),
            median_ms=float(np.quantile(times, 0.5)) * 1e3,
            p90_ms=float(np.quantile(times, 0.9)) * 1e3,
            runs=len(times),
        )
        for batch, times in zip(inputs, taken, strict=True)
    ]
