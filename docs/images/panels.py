"""Draws the rows of the Grafana dashboard as panels-*.svg, from panels.json.

    python docs/images/panels.py
    python docs/images/panels.py --record   # 6 minutes; needs prometheus

`panels_recording.py` makes the record anew: a real Prometheus scrapes a real server through a quiet
day with spells of trouble, which the pictures shade. `--bundle` serves that bundle, in place of a
tiny one with random weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_suffix(".json")
# The pictures, by question.
PICTURES = {
    "Is it up?": "up",
    "Is it in time?": "in-time",
    "Is it overloaded?": "overloaded",
    "What does it say?": "verdicts",
    "Is that changing?": "changes",
}

Series = Sequence[float | None]

PER_LINE, PANEL, GAP, EDGE, HEAD = 3, 288, 24, 16, 40
PLOT, AXIS, TITLE, LEGEND = 100, 42, 32, 15
WIDTH = 2 * EDGE + PER_LINE * PANEL + (PER_LINE - 1) * GAP
COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf8700", "#cf222e")
STYLE = """
  .page { fill: #ffffff; stroke: #d0d7de } .text { fill: #1f2328 } .note { fill: #59636e }
  .grid { stroke: #d0d7de } .spell { fill: #818b98; fill-opacity: 0.18 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d } .text { fill: #f0f6fc } .note { fill: #9198a1 }
    .grid { stroke: #3d444d }
  }
  text { font: 11px system-ui, sans-serif } .title { font-size: 12px; font-weight: 600 }
  .line { fill: none; stroke-width: 1.6; stroke-linejoin: round }
"""


def read_record() -> dict[str, Any]:
    """What the last recording saw."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def draw(record: dict[str, Any], question: str) -> str:
    """A row of the dashboard as SVG; it follows the reader's light or dark theme."""
    panels = record["rows"][question]
    body, y = [], HEAD
    for index in range(0, len(panels), PER_LINE):
        line = panels[index : index + PER_LINE]
        for place, panel in enumerate(line):
            body += _panel(record, panel, EDGE + place * (PANEL + GAP), y)
        y += TITLE + PLOT + 20 + LEGEND * max(len(panel["series"]) for panel in line) + 18
    for number, (start, end, what) in enumerate(record["spells"]):
        times = _minute(start) if end - start <= record["step"] else _span(start, end)
        body.append(_text(EDGE, y + 2, f"{_letter(number)}  {times}: {what}", "note"))
        y += LEGEND
    body.append(_text(EDGE, y + 8, record["about"], "note"))
    height = y + 22
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(question)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
            _text(EDGE, 26, question, "title"),
            *body,
            "</svg>\n",
        ]
    )


def _panel(record: dict[str, Any], panel: dict[str, Any], left: float, top: float) -> Iterator[str]:
    x0, y0 = left + AXIS, top + TITLE + PLOT
    width = PANEL - AXIS
    yield _text(left, top + 12, panel["title"], "title")
    per_second = width / record["seconds"]
    for number, (start, end, _) in enumerate(record["spells"]):
        x, wide = x0 + start * per_second, max(2.0, (end - start) * per_second)
        place = f'x="{x:.1f}" y="{y0 - PLOT}" width="{wide:.1f}" height="{PLOT}"'
        yield f'<rect class="spell" {place}/>'
        yield _text(x + wide / 2, y0 - PLOT - 4, _letter(number), "note", anchor="middle")
    values = [each for _, line in panel["series"] for each in line if each is not None]
    highest = _ceiling(max(values, default=0.0), panel["unit"])
    for share in (0.0, 0.5, 1.0):
        y = y0 - share * PLOT
        yield f'<path class="grid" d="M{x0} {y}H{x0 + width}"/>'
        label = _amount(share * highest, panel["unit"])
        yield _text(x0 - 5, y + 4, label, "note", anchor="end")
    for minute in range(0, record["seconds"] // 60 + 1, 2):
        x = x0 + minute * 60 * per_second
        yield _text(x, y0 + 14, f"{minute} min", "note", anchor="middle" if minute else "start")
    for number, (legend, line) in enumerate(panel["series"]):
        colour = COLOURS[number % len(COLOURS)]
        points = (
            None
            if value is None
            else (x0 + index * record["step"] * per_second, y0 - PLOT * value / highest)
            for index, value in enumerate(line)
        )
        yield f'<path class="line" stroke="{colour}" d="{_path(points)}"/>'
        y = y0 + 20 + LEGEND * number
        yield f'<rect x="{x0}" y="{y + 6}" width="12" height="3" fill="{colour}"/>'
        empty = "" if any(each is not None for each in line) else " (nothing yet)"
        yield _text(x0 + 18, y + 12, legend + empty)
    if not panel["series"]:
        yield _text(x0 + 6, y0 - PLOT / 2, "no data", "note")


def _path(points: Iterator[tuple[float, float] | None]) -> str:
    words, pen_down = [], False
    for point in points:
        if point is not None:
            words.append(f"{'L' if pen_down else 'M'}{point[0]:.1f} {point[1]:.1f}")
        pen_down = point is not None
    return "".join(words)


def _ceiling(value: float, unit: str) -> float:
    """A round figure above a value, with some room."""
    if unit == "percentunit" and value > 0.5:
        return max(1.0, value)
    value *= 1.05
    if value <= 0:
        return 1.0
    power = 1.0
    while power > value:
        power /= 10
    while power * 10 <= value:
        power *= 10
    steps = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)
    return next(step * power for step in steps if step * power >= value)


def _amount(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{1000 * value:.3g} ms"
    if unit == "bytes":
        return f"{value / 1e6:.3g} MB"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _minute(seconds: float) -> str:
    return f"{seconds // 60}:{seconds % 60:02}"


def _span(start: int, end: int) -> str:
    return f"{_minute(start)} to {_minute(end)}"


def _text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> str:
    kinds = "note" if kind == "note" else f"text {kind}".strip()
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kinds}" {where}>{escape(words)}</text>'


def main() -> None:
    """Writes the pictures, and with `--record` first what they show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="record anew; needs prometheus")
    parser.add_argument("--bundle", type=Path, help="bundle to serve while recording")
    args = parser.parse_args()
    if args.record:
        sys.path.append(str(ROOT / "deploy" / "monitoring"))
        import panels_recording
        from dashboard import ROWS

        record = panels_recording.record(ROWS, args.bundle)
        RECORD.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    record = read_record()
    for question, name in PICTURES.items():
        picture = RECORD.with_name(f"panels-{name}.svg")
        picture.write_text(draw(record, question), encoding="utf-8")
        print(f"written: {picture.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
