"""Helpers for templates: numbers, times, marked words, charts, links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from tipstaff.cli.evidence import contradiction_in_words
from tipstaff.cli.score import REASONS_IN_WORDS, unread_in_words
from tipstaff.types import Highlight, SentenceEvidence
from tipstaff_server.evaluator.marks import content_words, shared_words, words_of
from tipstaff_trainer.workspace.db.models import Label, LabelSet, ReviewItem, now
from tipstaff_trainer.workspace.db.rows import StoredRow

# Messages begin with one of these words, which gets a capital, or with a name, which doesn't.
_FIRST_WORDS = frozenset(
    "a an can can't choose evaluator give it its job neither no none nothing only say somebody "
    "that the there these this what which who".split()
)
Points = Sequence[tuple[float, float]]


def picked_because(item: ReviewItem, judge_label: Label | None) -> str:
    """Why a row was picked for review."""
    value = None if judge_label is None else judge_label.value
    if item.selection == "uncertain" and value is not None and 0.1 <= value <= 0.9:
        return f"Picked because the judge was unsure ({value:.2f})"
    reason = "opinions differ" if item.selection == "disputed" else "the label is doubtful"
    return f"Picked because {reason}: {item.why}"


def time_ago(moment: datetime | None) -> str:
    """A time in the past, as `5 min ago`."""
    if moment is None:
        return ""
    seconds = (now() - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"


def duration(start: datetime | None, end: datetime | None) -> str:
    """The time between two moments, as `2 min 5 s`; until now if `end` is None."""
    if start is None:
        return ""
    seconds = int(((end or now()) - start).total_seconds())
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; a dash for None."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def verdict_word(label: float | None) -> str:
    """A label as a word."""
    if label is None:
        return "none"
    return "good" if label >= 0.5 else "bad"


def compare_texts(row: StoredRow) -> dict[str, Markup]:
    """Output and ground truth with their shared words marked, and words only in the output.

    A reviewer should first look at words of the output that the ground truth lacks.
    """
    output, truth = row.output or "", row.ground_truth or ""
    if not output or not truth:
        return {"output": escape(output), "ground_truth": escape(truth)}
    ours, theirs = words_of(output), words_of(truth)
    shared = shared_words(ours, theirs, "forms")
    agrees = dict.fromkeys(shared, "agrees")
    differs = dict.fromkeys(content_words(ours), "differs")

    def mark(text: str, words: Sequence[tuple[str, int, int]], kinds: Mapping[str, str]) -> Markup:
        return _mark(text, [(at, to, kinds[word], "") for word, at, to in words if word in kinds])

    return {
        "output": mark(output, ours, differs | agrees),
        "ground_truth": mark(truth, theirs, agrees),
    }


def mark_highlights(text: str, highlights: Sequence[Highlight]) -> Markup:
    """A text with the words marked that lowered its score.

    Each mark ends with its rank, for those who can't see colours, and as in the list beside it.
    """
    ranks = {each: rank for rank, each in enumerate(by_weight(highlights), start=1)}
    marks = []
    for each in highlights:
        kind = "lowers most" if ranks[each] == 1 else "lowers more"
        marks.append((each.start, each.end, kind, Markup("<sup>{}</sup>").format(ranks[each])))
    return _mark(text, marks)


def _mark(text: str, marks: Iterable[tuple[int, int, str, str]]) -> Markup:
    """A text with marks: each has a start, an end, a CSS class and a suffix."""
    parts: list[Markup] = []
    before = 0
    for start, end, kind, suffix in marks:
        words = Markup('<mark class="{}">{}{}</mark>').format(kind, text[start:end], suffix)
        parts += [escape(text[before:start]), words]
        before = end
    return Markup("").join([*parts, escape(text[before:])])


def mark_contradictions(output: str, evidence: SentenceEvidence) -> Markup:
    """A sentence of an output with what contradicts its passage marked."""
    spans = [(each.start, each.end) for each in evidence.contradictions]
    return _mark_within(output, evidence.start, evidence.end, spans, "differs")


def mark_passage(truth: str, evidence: SentenceEvidence) -> Markup:
    """A sentence's passage of the ground truth, with what contradicts the sentence marked."""
    if evidence.passage is None:
        return Markup("")
    spans = [
        (each.truth_start, each.truth_end)
        for each in evidence.contradictions
        if each.truth_start is not None and each.truth_end is not None
    ]
    return _mark_within(truth, evidence.passage.start, evidence.passage.end, spans, "agrees")


def _mark_within(
    text: str, start: int, end: int, spans: Iterable[tuple[int, int]], kind: str
) -> Markup:
    """A part of a text with spans marked; one that overlaps an earlier one is left out."""
    marks: list[tuple[int, int, str, str]] = []
    last = start
    for first, after in sorted(set(spans)):
        if last <= first < after <= end:
            marks.append((first - start, after - start, kind, ""))
            last = after
    return _mark(text[start:end], marks)


def by_weight(highlights: Sequence[Highlight]) -> list[Highlight]:
    """Highlights, the one that lowered the score most first."""
    return sorted(highlights, key=lambda each: -each.weight)


def labels_url(labels: LabelSet, part: str = "", *, section: str = "datasets", **query: Any) -> str:
    """The address of a page about labels by one criterion."""
    path = "/".join([f"/{section}/{labels.dataset_id}", *([part] if part else [])])
    return f"{path}?{urlencode({'criterion': labels.criterion, **query})}"


def chart_lines(
    series: Sequence[tuple[str, Points]], *, low: float | None = None, high: float | None = None
) -> dict[str, Any] | None:
    """A line chart's lines and ticks, as shares of its width and height; None without points.

    Args:
        series: Each line's CSS class and its (step, value) points.
        low: The axis's lowest value; the lowest of the data if None.
        high: The axis's highest value; the highest of the data if None.
    """
    points = [point for _, line in series for point in line]
    if not points:
        return None
    values = [value for _, value in points]
    bottom = min(values) if low is None else low
    top = max(values) if high is None else high
    top = top if top > bottom else bottom + 1
    last = max(step for step, _ in points) or 1

    span = top - bottom
    return {
        "last": last,
        "ticks": [(share, bottom + share * span) for share in (0.0, 0.5, 1.0)],
        "lines": [
            (kind, [(step / last, (value - bottom) / span) for step, value in line])
            for kind, line in series
        ],
    }


def shorten(text: str | None, most: int = 140) -> str:
    """The beginning of a text, on one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= most else line[: most - 1] + "…"


def sentence(message: str) -> str:
    """A message as a sentence, with a capital letter and a full stop.

    A first word that may be a name, such as a file's, keeps its spelling.
    """
    first = message.partition(" ")[0]
    if first in _FIRST_WORDS:
        message = message[0].upper() + message[1:]
    return message if message.endswith((".", "!", "?", "”")) else f"{message}."


_FILTERS = (by_weight, number, sentence, shorten, time_ago, verdict_word)
_HELPERS = (
    *(chart_lines, compare_texts, duration, labels_url, mark_highlights, picked_because),
    *(contradiction_in_words, mark_contradictions, mark_passage, unread_in_words),
)
FILTERS: dict[str, Any] = {each.__name__: each for each in _FILTERS}
GLOBALS: dict[str, Any] = {each.__name__: each for each in _HELPERS} | {"reasons": REASONS_IN_WORDS}
