"""Describes how long runs take on this machine, as a text for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.repository.registry import Served
from tipstaff_server.scheduling import Measurement, nearly_cheapest

_HEADER = "  tokens  alone, ms  best batch  its run, ms  answers a second"


def describe(
    served: Sequence[Served],
    profile: Callable[[Evaluator], Sequence[Measurement]],
    *,
    workers: int,
    threads: int,
) -> str:
    """One table for each evaluator.

    Args:
        served: The evaluators in service.
        profile: How long an evaluator's runs take.
        workers: Runs at the same time. The table's answers a second are those of all workers, if
            these don't slow each other.
        threads: Threads of one run.
    """
    return "\n".join(line for each in served for line in _table(each, profile, workers, threads))


def _table(
    served: Served,
    profile: Callable[[Evaluator], Sequence[Measurement]],
    workers: int,
    threads: int,
) -> Iterator[str]:
    evaluator = served.evaluator
    runs = (
        "requests may share a run"
        if evaluator.batchable
        else "one request a run, since batch-mates would change its score here"
    )
    yield (
        f"{served.name} version {served.version}, {evaluator.engine}, {workers} x {threads} "
        f"threads: {runs}"
    )
    if evaluator.degraded:
        yield f"  degraded: {evaluator.degraded}"
    yield _HEADER
    points = profile(evaluator)
    for length in sorted({point.length for point in points}):
        runs_of_length = [point for point in points if point.length == length]
        alone = next(point for point in runs_of_length if point.batch == 1)
        best = nearly_cheapest(runs_of_length)
        rate = workers * best.batch / best.seconds
        yield (
            f"{length:8d} {alone.seconds * 1e3:10.2f} {best.batch:11d} "
            f"{best.seconds * 1e3:12.2f} {rate:17.0f}"
        )
