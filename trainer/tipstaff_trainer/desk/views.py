"""How things look in pages: numbers, times, words that differ, curves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from tipstaff.cli.score import REASONS_IN_WORDS
from tipstaff.types import Highlight, Reason
from tipstaff_server.evaluator.marks import content_words, shared_words, words_of
from tipstaff_trainer.workspace.db.models import LabelSet, now
from tipstaff_trainer.workspace.db.rows import StoredRow

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 200, 44, 24, 10
# What messages begin with that are no names.
_FIRST_WORDS = frozenset(
    "a an can can't give good it its job no none nothing say that the there these this what which "
    "who".split()
)
Points = Sequence[tuple[float, float]]


def ago(moment: datetime | None) -> str:
    """How long ago something was, as `5 min ago`."""
    if moment is None:
        return ""
    seconds = (now() - moment).total_seconds()
    if seconds < 60:
        return "just now"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return ""


def lasted(start: datetime | None, end: datetime | None) -> str:
    """How long something took, as `2 min 5 s`."""
    if start is None:
        return ""
    seconds = int(((end or now()) - start).total_seconds())
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def verdict_word(label: float | None) -> str:
    """A label in a word."""
    if label is None:
        return "none"
    return "good" if label >= 0.5 else "bad"


def compared(row: StoredRow) -> dict[str, Markup]:
    """Output and ground truth with the words marked that agree, and those that only one has.

    A word of the output that the ground truth lacks is where a reviewer should look first.
    """
    output, truth = row.output or "", row.ground_truth or ""
    if not output or not truth:
        return {"output": escape(output), "ground_truth": escape(truth)}
    ours, theirs = words_of(output), words_of(truth)
    shared = shared_words(ours, theirs, "forms")

    def marked(text: str, words: Sequence[tuple[str, int, int]], only: frozenset[str]) -> Markup:
        parts: list[Markup] = []
        at = 0
        for word, start, end in words:
            kind = "agrees" if word in shared else "differs" if word in only else ""
            if kind:
                parts += [
                    escape(text[at:start]),
                    Markup('<mark class="{}">{}</mark>').format(kind, text[start:end]),
                ]
                at = end
        return Markup("").join([*parts, escape(text[at:])])

    return {
        "output": marked(output, ours, content_words(ours) - shared),
        "ground_truth": marked(truth, theirs, frozenset()),
    }


def lowered(text: str, highlights: Sequence[Highlight]) -> Markup:
    """A text with the words marked that lowered its score, the stronger ones more so.

    Each mark ends in its rank for those who can't see it; the list beside it says the rest.
    """
    parts: list[Markup] = []
    at = 0
    ranks = {each: rank for rank, each in enumerate(by_weight(highlights), start=1)}
    for each in highlights:
        strength = "most" if ranks[each] == 1 else "more"
        parts += [
            escape(text[at : each.start]),
            Markup('<mark class="lowers {}">{}<sup>{}</sup></mark>').format(
                strength, text[each.start : each.end], ranks[each]
            ),
        ]
        at = each.end
    return Markup("").join([*parts, escape(text[at:])])


def by_weight(highlights: Sequence[Highlight]) -> list[Highlight]:
    """Highlights, what lowered the score most first."""
    return sorted(highlights, key=lambda each: -each.weight)


def address(labels: LabelSet, part: str = "", *, room: str = "datasets", **query: Any) -> str:
    """Where a page is that is about labels by one criterion."""
    path = "/".join([f"/{room}/{labels.dataset_id}", *([part] if part else [])])
    return f"{path}?{urlencode({'criterion': labels.criterion, **query})}"


def chart(
    title: str,
    series: Sequence[tuple[str, Points]],
    *,
    low: float | None = None,
    high: float | None = None,
) -> Markup:
    """Lines over steps, as SVG without a style of its own.

    Args:
        title: What it shows, for those who can't see it.
        series: A class for the look, and the points, for each line.
        low: The least value on the axis; by the data when None.
        high: The greatest.
    """
    points = [point for _, line in series for point in line]
    if not points:
        return Markup("")
    values = [value for _, value in points]
    bottom = min(values) if low is None else low
    top = max(values) if high is None else high
    top = top if top > bottom else bottom + 1
    last = max(step for step, _ in points) or 1

    def x(step: float) -> float:
        return _LEFT + step / last * (_WIDTH - _LEFT - 8)

    def y(value: float) -> float:
        return _TOP + (1 - (value - bottom) / (top - bottom)) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            _WIDTH, _HEIGHT, title
        )
    ]
    for share in (0.0, 0.5, 1.0):
        value = bottom + share * (top - bottom)
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(_LEFT, _WIDTH - 8, y(value), y(value), _LEFT - 6, y(value) + 4, f"{value:.2f}")
        )
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="end">step {}</text>').format(
            _WIDTH - 8, _HEIGHT - 6, f"{last:,.0f}"
        )
    )
    for kind, line in series:
        if len(line) == 1:
            step, value = line[0]
            parts.append(
                Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(
                    kind, x(step), y(value)
                )
            )
        elif line:
            path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in line)
            parts.append(Markup('<polyline class="{}" points="{}"/>').format(kind, path))
    return Markup("").join([*parts, Markup("</svg>")])


def shortened(text: str | None, most: int = 140) -> str:
    """The beginning of a text, on one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= most else line[: most - 1] + "…"


def sentence(message: str) -> str:
    """An error's message as a page says it: with a capital and a full stop.

    What may be a name, as a file's before a colon, stays as it is spelt.
    """
    first = message.partition(" ")[0]
    if first in _FIRST_WORDS:
        message = message[0].upper() + message[1:]
    return message if message.endswith((".", "!", "?", "”")) else f"{message}."


def in_words(reason: Reason) -> str:
    """What a score's reason means."""
    return REASONS_IN_WORDS[reason]


FILTERS: dict[str, Any] = {
    "ago": ago,
    "by_weight": by_weight,
    "in_words": in_words,
    "number": number,
    "sentence": sentence,
    "shortened": shortened,
    "verdict_word": verdict_word,
}
GLOBALS: dict[str, Any] = {
    "address": address,
    "chart": chart,
    "compared": compared,
    "lasted": lasted,
    "lowered": lowered,
}
