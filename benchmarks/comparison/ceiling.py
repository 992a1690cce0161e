"""The ceiling: the evaluator in the fastest loop without a server, measured like a contender."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from comparison.contender import ContenderError
from comparison.loadgen import Outcomes
from comparison.measure import Plan, Record, summary
from comparison.processes import Processes
from comparison.verdict import CEILING
from tipstaff import Interaction

SETTINGS = {"loop": "threads that each encode, run and predict one request after the other"}
_SCRIPT = Path(__file__).parent / "peers" / "in_process.py"


def measure_ceiling(
    bundle: Path, interactions: Sequence[Interaction], plan: Plan, folder: Path
) -> Iterator[Record]:
    """Measures the loop with one thread, with a thread a core, and with one thread on one core.

    Raises:
        ContenderError: The loop can't be started.
    """
    for cores, threads in ((plan.cores, (1, len(plan.cores))), (plan.cores[:1], (1,))):
        with _loop(bundle, interactions, cores, folder) as processes:
            for count in threads:
                record = {"contender": CEILING, "cores": len(cores), "phase": "loop"}
                yield record | {"threads": count} | _ask(processes, count, plan.seconds)


def ceiling_round(
    bundle: Path, interactions: Sequence[Interaction], plan: Plan, folder: Path
) -> Record:
    """Measures the loop on all cores, as the contenders' rounds do.

    Raises:
        ContenderError: The loop can't be started.
    """
    threads = len(plan.cores)
    with _loop(bundle, interactions, plan.cores, folder) as processes:
        record = {"contender": CEILING, "cores": threads, "threads": threads}
        return record | _ask(processes, threads, plan.seconds)


@contextmanager
def _loop(
    bundle: Path, interactions: Sequence[Interaction], cores: Sequence[int], folder: Path
) -> Iterator[Processes]:
    requests = folder / "requests.jsonl"
    requests.write_text("\n".join(json.dumps(asdict(each)) for each in interactions))
    processes = Processes(
        [sys.executable, str(_SCRIPT), str(bundle), str(requests)],
        cores=cores,
        environment={},
        log=folder / f"{CEILING}.log",
        piped=True,
    )
    try:
        _answer(processes)
        _ask(processes, 1, 1.0)  # warm
        yield processes
    finally:
        processes.stop()
        requests.unlink()


def _ask(processes: Processes, threads: int, seconds: float) -> Record:
    before = processes.cpu_seconds()
    assert processes.popen.stdin is not None
    processes.popen.stdin.write(
        (json.dumps({"threads": threads, "seconds": seconds}) + "\n").encode()
    )
    processes.popen.stdin.flush()
    reply = _answer(processes)
    outcomes = Outcomes(seconds=reply["seconds"])
    for request, score, latency in reply["answers"]:
        outcomes.latency[outcomes.begin(request, 0.0)] = latency
        outcomes.scores.setdefault(request, []).append(score)
    return {
        **summary(outcomes),
        "cpu_seconds": round(processes.cpu_seconds() - before, 3),
        "memory_mb": round(processes.memory_bytes() / 1e6, 1),
        "peak_mb": round(processes.peak_bytes() / 1e6, 1),
        "differing": sum(len(set(scores)) > 1 for scores in outcomes.scores.values()),
    }


def _answer(processes: Processes) -> dict:  # type: ignore[type-arg]
    assert processes.popen.stdout is not None
    line = processes.popen.stdout.readline()
    if not line:
        raise ContenderError(f"{CEILING}: the process ended\n{processes.log.read_text()[-2000:]}")
    return json.loads(line)  # type: ignore[no-any-return]
