"""The run's records as a table and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from comparison.measure import CONCURRENT, LOADS, TOGETHER
from comparison.verdict import TIPSTAFF, Record, cpu_ms, find, peers

_NONE = "–"
_CLOSED_HEAD = (
    *("contender", "callers", "answers/s", "p50 ms", "p99 ms", "errors"),
    *("CPU ms/answer", "memory MB", "scores that differ", "largest difference"),
)
_OPEN_HEAD = (
    *("contender", "load", "asked/s", "in time/s", "p50 ms", "p99 ms"),
    *("refused", "refusal p50 ms", "late or failed", "CPU ms/answer", "generator late p99 ms"),
)


def tables(records: Sequence[Record]) -> str:
    """Renders the tables as Markdown: closed loops, then open loops."""
    return "\n".join(
        [
            *("Closed loop, every core shared with the generator:", ""),
            *_table(_CLOSED_HEAD, _closed_rows(records)),
            "",
            f"All {_compared(records)} requests once at {TOGETHER} concurrent, compared with each "
            "alone:",
            "",
            *_table(_CLOSED_HEAD, _rows_together(records)),
            "",
            "Open loop, server and generator on a core each, deadline 100 ms:",
            "",
            *_table(_OPEN_HEAD, _open_rows(records)),
            "",
        ]
    )


def draw(records: Sequence[Record], folder: Path) -> None:
    """Writes `closed.png` and `open.png`."""
    contenders = [TIPSTAFF, *peers(records)]
    closed = {
        "answers a second": lambda record: record["per_second"],
        "p99, ms": lambda record: record["p99_ms"],
        "CPU-ms an answer": cpu_ms,
    }
    _figure(folder / "closed.png", records, contenders, "closed", "concurrent", CONCURRENT, closed)
    # p99 is left out: where most requests are late, it would describe the few answered ones.
    opened = {
        "answers within 100 ms, a second": lambda record: record["goodput"],
        "answers within 100 ms, of its own capacity": lambda record: (
            record["goodput"] * record["load"] / record["rate"]
        ),
    }
    _figure(folder / "open.png", records, contenders, "open", "load", LOADS, opened)


def _figure(
    file: Path,
    records: Sequence[Record],
    contenders: Sequence[str],
    phase: str,
    axis: str,
    points: Sequence[float],
    values: Mapping[str, Callable[[Record], float]],
) -> None:
    figure = Figure(figsize=(5 * len(values), 4), layout="tight")
    panels = figure.subplots(1, len(values))
    for panel, (title, value) in zip(panels, values.items(), strict=True):
        for contender in contenders:
            curve = []
            for point in points:
                try:
                    curve.append((point, value(find(records, contender, phase, **{axis: point}))))
                except (LookupError, TypeError, ZeroDivisionError):
                    continue
            _line(panel, contender, [pair for pair in curve if pair[1] is not None])
        panel.set_title(title)
        panel.set_xlabel("callers" if axis == "concurrent" else "load, of its own capacity")
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        if axis == "concurrent":
            panel.set_xscale("log", base=2)
            panel.set_xticks(points, [str(point) for point in points])
    panels[0].legend()
    figure.savefig(file, dpi=120)


def _line(panel: Axes, contender: str, curve: Sequence[tuple[float, float]]) -> None:
    is_tipstaff = contender == TIPSTAFF
    panel.plot(
        *zip(*curve, strict=True) if curve else ((), ()),
        marker="o",
        label=contender,
        linewidth=2.5 if is_tipstaff else 1.2,
    )


def _closed_rows(records: Sequence[Record]) -> list[list[object]]:
    rows = [_closed_row(r, r["concurrent"]) for r in records if r["phase"] == "closed"]
    loops = [r for r in records if r["phase"] == "loop"]
    return rows + [_closed_row(r, f"{r['threads']} on {r['cores']}") for r in loops]


def _rows_together(records: Sequence[Record]) -> list[list[object]]:
    return [_closed_row(r, TOGETHER) for r in records if r["phase"] == "together"]


def _closed_row(record: Record, callers: object) -> list[object]:
    return [
        record["contender"],
        callers,
        record["per_second"],
        record["p50_ms"],
        record["p99_ms"],
        sum(record["errors"].values()),
        _cpu(record),
        record["memory_mb"],
        record.get("differing"),
        f"{record['largest_difference']:.1g}" if "largest_difference" in record else None,
    ]


def _open_rows(records: Sequence[Record]) -> list[list[object]]:
    return [
        [
            record["contender"],
            record["load"],
            record["rate"],
            record["goodput"],
            record["p50_ms"],
            record["p99_ms"],
            record["refused"],
            record["refusal_p50_ms"],
            sum(record["errors"].values()) - record["refused"],
            _cpu(record),
            record["generator_late_p99_ms"],
        ]
        for record in records
        if record["phase"] == "open"
    ]


def _compared(records: Sequence[Record]) -> int:
    return max((r["compared"] for r in records if r["phase"] == "together"), default=0)


def _cpu(record: Record) -> str | None:
    # Two decimals: contenders may be close.
    return f"{cpu_ms(record):.2f}" if record["answered"] else None


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines]


def _cell(value: object) -> str:
    if value is None:
        return _NONE
    return f"{value:.1f}" if isinstance(value, float) else str(value)
