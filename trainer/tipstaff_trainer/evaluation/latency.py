"""The time of one request by length, through the server's session."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from tipstaff.types import Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.layout import Tokens
from tipstaff_server.evaluator.session import Session
from tipstaff_trainer.evaluation.base import Part

_LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_SECONDS_PER_LENGTH = 0.5
_MOST_REPEATS = 50
_FEWEST_REPEATS = 3


class Latency(Part):
    """One request alone on one thread, without encoding.

    Attributes:
        tokens: Length of its texts; the ground truth is the longest.
        runs: Runs of the graph, one for each window.
        median_ms: Median of the repeats.
        p90_ms: 90th percentile of the repeats.
        repeats: How often it was timed.
    """

    tokens: int
    runs: int
    median_ms: float
    p90_ms: float
    repeats: int


def measure_latency(*evaluators: Evaluator) -> list[tuple[Latency, ...]]:
    """Times made-up requests of doubling length, up to 4,096 tokens or the longest that fits.

    Several evaluators take turns, so that other load on the machine slows all of them equally.

    Returns:
        A tuple for each evaluator, by length.
    """
    longest = max(map(_longest, evaluators))
    by_length = [_measure(evaluators, length) for length in _LENGTHS if length <= longest]
    return [
        tuple(point for point in points if point.tokens <= _longest(evaluator))
        for evaluator, points in zip(evaluators, zip(*by_length, strict=True), strict=True)
    ]


def median_run_ms(sessions: Sequence[Session], runs: Sequence[Tokens]) -> list[float]:
    """The median time of a run through each session, in ms; the sessions take turns."""
    times = np.empty((len(runs), len(sessions)))
    for line, tokens in zip(times, runs, strict=True):
        for place, session in enumerate(sessions):
            session.run([tokens])
            start = time.perf_counter()
            session.run([tokens])
            line[place] = time.perf_counter() - start
    medians: list[float] = (np.median(times, axis=0) * 1e3).tolist()
    return medians


def _longest(evaluator: Evaluator) -> int:
    """Tokens of the longest request to time: without windows, what exceeds one run is cut."""
    encoding = evaluator.manifest.encoding
    return encoding.max_length if encoding.windows is None else max(_LENGTHS)


def _measure(evaluators: Sequence[Evaluator], length: int) -> list[Latency]:
    requests = [_request(evaluator, length) for evaluator in evaluators]
    durations: list[list[float]] = [[] for _ in evaluators]
    for evaluator, runs in zip(evaluators, requests, strict=True):
        evaluator.run(runs[:1])
    while len(durations[0]) < _FEWEST_REPEATS or (
        len(durations[0]) < _MOST_REPEATS and sum(durations[0]) < _SECONDS_PER_LENGTH
    ):
        for evaluator, runs, times in zip(evaluators, requests, durations, strict=True):
            start = time.perf_counter()
            for tokens in runs:
                evaluator.run([tokens])
            times.append(time.perf_counter() - start)
    return [
        Latency(
            tokens=length,
            runs=len(runs),
            median_ms=float(np.quantile(times, 0.5)) * 1e3,
            p90_ms=float(np.quantile(times, 0.9)) * 1e3,
            repeats=len(times),
        )
        for runs, times in zip(requests, durations, strict=True)
    ]


def _request(evaluator: Evaluator, length: int) -> Sequence[Tokens]:
    """The runs of a request with that many tokens."""
    if length <= evaluator.manifest.encoding.max_length:
        return [evaluator.filler(length)]
    fields = evaluator.manifest.fields
    longest = "ground_truth" if "ground_truth" in fields else fields[-1]
    # A word that every tokenizer keeps whole, or nearly.
    texts = {name: "the " * (length if name == longest else 1) for name in fields}
    return evaluator.encode(Interaction(**texts)).runs
