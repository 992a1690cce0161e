"""The targets of the comparison, and whether a run met them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

# One phase of one contender, as `measure` writes it.
Record = dict[str, Any]

TIPSTAFF = "tipstaff"
CEILING = "in-process"
# mosec set up in Tipstaff's way: one request per run, on workers of one thread. It compares
# Tipstaff's front end with one in Rust. Users don't set it up like this, so it is reported apart.
UNBATCHED = "mosec-single"
_OVERLOAD = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """A target value.

    Attributes:
        name: What is measured.
        value: Computes it from the run's records.
        must: The bound that a release must meet; None for a value that is only reported.
        aim: The bound we hope to meet.
        at_most: Whether smaller is better.
    """

    name: str
    value: Callable[[Sequence[Record]], float | None]
    must: float | None
    aim: float | None
    at_most: bool = False

    def met(self, value: float | None, bound: float | None) -> bool | None:
        """Whether the value is as good as the bound; None where either is missing."""
        if value is None or bound is None:
            return None
        return value <= bound if self.at_most else value >= bound


def evaluate(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Returns each target with its value and verdicts; None where the run lacks the records."""
    rows = []
    for target in TARGETS:
        try:
            value = target.value(records)
        except (
            LookupError,
            TypeError,
            ValueError,
            ZeroDivisionError,
        ):  # the contender or phase is missing
            value = None
        rows.append(
            {
                "target": target.name,
                "value": None if value is None else round(value, 4),
                "must": target.must,
                "aim": target.aim,
                "must_met": target.met(value, target.must),
                "aim_met": target.met(value, target.aim),
            }
        )
    return rows


def find(records: Sequence[Record], contender: str, phase: str, **having: object) -> Record:
    """Returns the record of a contender's phase.

    Raises:
        LookupError: There is no such record.
    """
    criteria = {"contender": contender, "phase": phase, **having}
    for record in records:
        if criteria.items() <= record.items():
            return record
    raise LookupError(f"no record with {criteria}")


def peers(records: Sequence[Record]) -> list[str]:
    """Returns the names of the other servers, in order."""
    servers = ("closed", "round")
    names = dict.fromkeys(
        r["contender"] for r in records if r["phase"] in servers and "threads" not in r
    )
    return [name for name in names if name != TIPSTAFF]


def cpu_ms(record: Record) -> float:
    """Milliseconds of processor time per answer."""
    return float(record["cpu_seconds"]) * 1e3 / int(record["answered"])


def _median(ratio: Callable[[Sequence[Record]], float]) -> Callable[[Sequence[Record]], float]:
    """Takes the median of a ratio over the rounds, in which the contenders take turns."""

    def value(records: Sequence[Record]) -> float:
        rounds: dict[int, list[Record]] = defaultdict(list)
        for record in records:
            if record["phase"] == "round":
                rounds[record["round"]].append(record)
        return statistics.median(ratio(round_records) for round_records in rounds.values())

    return value


def _throughput(records: Sequence[Record], contender: str) -> float:
    return float(find(records, contender, "round")["per_second"])


@_median
def _against_infinity(records: Sequence[Record]) -> float:
    return _throughput(records, TIPSTAFF) / _throughput(records, "infinity-torch")


@_median
def _against_the_fastest(records: Sequence[Record]) -> float:
    names = [name for name in peers(records) if name != UNBATCHED]
    return _throughput(records, TIPSTAFF) / max(_throughput(records, name) for name in names)


@_median
def _against_unbatched(records: Sequence[Record]) -> float:
    return _throughput(records, TIPSTAFF) / _throughput(records, UNBATCHED)


def _differing(records: Sequence[Record]) -> float:
    own = [r for r in records if r["contender"] == TIPSTAFF and "differing" in r]
    if not own:
        raise LookupError("nothing was compared")
    return float(sum(record["differing"] for record in own))


@_median
def _against_the_ceiling(records: Sequence[Record]) -> float:
    return cpu_ms(find(records, CEILING, "round")) / cpu_ms(find(records, TIPSTAFF, "round"))


def _against_the_ideal_queue(records: Sequence[Record], kind: str = "ideal") -> float:
    return statistics.median(
        float(record["p99_ms"]) / float(record[f"{kind}_p99_ms"])
        for record in records
        if record["contender"] == TIPSTAFF and record["phase"] == "unhurried"
    )


def _goodput_kept(records: Sequence[Record]) -> float:
    best = max(r["goodput"] for r in records if r["contender"] == TIPSTAFF and r["phase"] == "open")
    return float(find(records, TIPSTAFF, "open", load=_OVERLOAD)["goodput"]) / float(best)


def _refusal(records: Sequence[Record]) -> float:
    return float(find(records, TIPSTAFF, "open", load=_OVERLOAD)["refusal_p50_ms"])


def _idle(records: Sequence[Record]) -> float:
    return float(find(records, TIPSTAFF, "idle")["cpu_percent"])


TARGETS = (
    Target(
        "throughput at 32 concurrent, against Infinity's torch engine", _against_infinity, 6, 10
    ),
    Target("throughput at 32 concurrent, against the fastest peer", _against_the_fastest, 1.1, 1.3),
    Target("the same, against mosec without batching", _against_unbatched, None, None),
    Target("scores that differ from the same request alone", _differing, 0, 0, at_most=True),
    Target("answers per CPU-second, against in-process", _against_the_ceiling, 0.80, 0.90),
    Target(
        "p99 at 0.8 of capacity, against an ideal queue", _against_the_ideal_queue, 1.5, 1.2, True
    ),
    Target(
        "the same, were encoding and graph all there is to do",
        partial(_against_the_ideal_queue, kind="bare"),
        None,
        None,
        True,
    ),
    Target("goodput at 3 times overload, against its best", _goodput_kept, 0.80, 0.90),
    Target("a refusal at 3 times overload, median, ms", _refusal, 5, 2, True),
    Target("CPU of an idle server, % of a core", _idle, 1, 1, True),
)
