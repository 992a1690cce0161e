"""Draws throughput.svg, the README's chart, from the comparison's records, and prints its numbers.

    python docs/images/throughput.py

`benchmarks/compare.py` wrote the records. Left: answers a second with 32 callers, the median of
the rounds. Right: answers a second that came within 100 ms, when each server is sent twice the
load that it can carry.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "benchmarks" / "results" / "raw.jsonl"
CHART = Path(__file__).with_suffix(".svg")
CALLERS = 32
OVERLOAD = 2.0
LABELS = {
    "tipstaff": "Tipstaff",
    "mosec-single": "mosec, no batching",
    "mosec": "mosec, batching",
    "infinity-optimum": "Infinity, ONNX int8",
    "infinity-torch": "Infinity, torch",
    "fastapi": "FastAPI + transformers",
}

WIDTH, PANEL, LEFT, TOP, STEP, BAR = 840, 270, 190, 74, 30, 18
PANELS_AT = (LEFT, LEFT + PANEL + 60)
STYLE = """
  .page { fill: #ffffff; stroke: #d0d7de } .text { fill: #1f2328 } .note { fill: #59636e }
  .ours { fill: #0969da } .other { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .note { fill: #9198a1 }
    .ours { fill: #4493f8 } .other { fill: #656c76 }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-weight: 600 } .note { font-size: 11px }"""


def read_records(path: Path = RECORDS) -> list[dict[str, Any]]:
    """The comparison's records, one a phase."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def throughput(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Answers a second with 32 callers by contender: the median over the rounds."""
    rounds = defaultdict(list)
    for record in records:
        if record["phase"] == "round" and record.get("concurrent") == CALLERS:
            rounds[record["contender"]].append(record["per_second"])
    return {name: median(rounds[name]) for name in LABELS}


def in_time(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Answers within 100 ms a second by contender, when asked for twice its own capacity."""
    goodputs = {
        record["contender"]: record["goodput"]
        for record in records
        if record["phase"] == "open" and record["load"] == OVERLOAD
    }
    return {name: goodputs[name] for name in LABELS}


def latency(records: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Tipstaff's median and 99th percentile with one caller, in milliseconds."""
    record = next(
        each
        for each in records
        if each["phase"] == "closed" and each["contender"] == "tipstaff" and each["concurrent"] == 1
    )
    return record["p50_ms"], record["p99_ms"]


def draw(records: Sequence[Mapping[str, Any]]) -> str:
    """The chart as SVG; it follows the reader's light or dark theme."""
    left, right = throughput(records), in_time(records)
    height = TOP + STEP * len(LABELS) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Answers a second under load, Tipstaff beside other servers</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        text(PANELS_AT[0], 30, "Answers a second", "title"),
        text(PANELS_AT[0], 48, f"{CALLERS} callers at a time, two cores", "note"),
        text(PANELS_AT[1], 30, "Answers in time, a second", "title"),
        text(PANELS_AT[1], 48, "at twice the server's capacity, 100 ms each, one core", "note"),
    ]
    for row, (name, label) in enumerate(LABELS.items()):
        y = TOP + STEP * row
        parts.append(text(LEFT - 12, y + 14, label, "title" if row == 0 else "", anchor="end"))
        for x, values, digits in ((PANELS_AT[0], left, 0), (PANELS_AT[1], right, 1)):
            length = max(1.5, (PANEL - 40) * values[name] / max(values.values()))
            kind = "ours" if name == "tipstaff" else "other"
            parts.append(
                f'<rect class="{kind}" x="{x}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
            )
            parts.append(text(x + length + 6, y + 14, f"{values[name]:.{digits}f}"))
    foot = "one run, one machine, the same weights and texts; benchmarks/results/raw.jsonl"
    return "\n".join([*parts, text(LEFT, height - 14, foot, "note"), "</svg>\n"])


def text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    """One line of text."""
    return (
        f'<text class="text {kind}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    ).replace('"text note"', '"note"')


def main() -> None:
    """Writes the chart and prints the numbers that the README quotes."""
    records = read_records()
    CHART.write_text(draw(records), encoding="utf-8")
    p50, p99 = latency(records)
    print(f"latency, one caller: median {p50:.0f} ms, 99 of 100 within {p99:.0f} ms")
    for title, values in (("32 callers", throughput(records)), ("in time", in_time(records))):
        print(f"answers a second, {title}:", end=" ")
        print(", ".join(f"{name} {value:.1f}" for name, value in values.items()))
    print(f"written: {CHART.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
