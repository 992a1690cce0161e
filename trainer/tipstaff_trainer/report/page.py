"""Writes a report as a folder: `index.html`, `report.json`, `card.md`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tipstaff_trainer.errors import ReportError
from tipstaff_trainer.evaluation.contents import Report
from tipstaff_trainer.evaluation.curves import Curve
from tipstaff_trainer.report import plots
from tipstaff_trainer.report.card import EFFECTS, certificate_doubt, cuts_in_words, half_rewritten
from tipstaff_trainer.report.rendering import cells, environment

PAGE_FILE = "index.html"
JSON_FILE = "report.json"
CARD_FILE = "card.md"

_MOST_ROWS = 25


def check_folder(folder: Path, json_file: str = JSON_FILE) -> None:
    """Checks that a report can be written into a folder: new, empty, or with an earlier report.

    Raises:
        ReportError: It can't.
    """
    if folder.exists() and not folder.is_dir():
        raise _refused(folder, "is a file", "name a folder for the report")
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        why = "closed to you" if existing.is_dir() else "a file"
        raise _refused(folder, f"can't be written: {existing} is {why}")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / json_file).is_file():
        raise _refused(folder, "holds other files", "choose a new or empty folder")


def write_report(report: Report, folder: Path) -> Path:
    """Writes the three files, over those of an earlier report.

    Returns:
        The page.

    Raises:
        ReportError: The folder can't be written, or holds other files.
    """
    files = {
        PAGE_FILE: report_page(report),
        CARD_FILE: report_card(report),
        JSON_FILE: report.model_dump_json(indent=1, by_alias=True) + "\n",
    }
    return write_folder(folder, files, json_file=JSON_FILE)


def write_folder(folder: Path, files: dict[str, str], *, json_file: str) -> Path:
    """Writes a report's files; returns its page's path.

    Raises:
        ReportError: The folder can't be written, or holds other files.
    """
    check_folder(folder, json_file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise _refused(folder, f"can't be written: {error.strerror}") from error
    return folder / PAGE_FILE


def _refused(folder: Path, message: str, remedy: str = "") -> ReportError:
    return ReportError(message, field="out", value=str(folder), remedy=remedy)


def report_page(report: Report) -> str:
    """The page: one self-contained HTML file."""
    template = environment().get_template("report.html.j2")
    return template.render(_texts(report), plots=_plots(report), tables=_tables(report))


def report_card(report: Report) -> str:
    """The report in short, in Markdown."""
    return environment(escape=False).get_template("evaluation.md.j2").render(_texts(report))


def _texts(report: Report) -> dict[str, Any]:
    """What both templates show."""
    return {
        "it": report,
        "summary": summary(report),
        "beaten": beaten(report),
        "effects": EFFECTS,
        "half_rewritten": half_rewritten,
        "cuts": cuts_in_words(report.cuts.policy),
        "doubt": certificate_doubt(report.cuts.policy.certificate),
    }


def summary(report: Report) -> str:
    """The two numbers that people decide by, in words."""
    parts = []
    for among, verb, share in (
        ("bad outputs", "pass", report.cuts.false_pass),
        ("good ones", "are blocked", report.cuts.false_block),
    ):
        if share is not None and share.unknown:
            parts.append(f"there are too few {among} to say how many {verb}")
        elif share is not None:
            low, high = (round(100 * end) for end in (share.low, share.high))
            span = f"about {low} to {high}" if low < high else f"about {high}"
            parts.append(f"of 100 {among}, {span if high else 'hardly any'} {verb}")
    text = ", and ".join(parts)
    return f"At its cuts, {text}." if text else ""


def beaten(report: Report) -> str:
    """Which cheap metrics the evaluator beats, in words."""
    leads = {each.name: each.lead for each in report.baselines if each.lead is not None}
    worse = [name for name, lead in leads.items() if lead.low > 0]
    better = [name for name, lead in leads.items() if lead.high < 0]
    even = [name for name in leads if name not in (*worse, *better)]
    if worse and len(worse) == len(leads):
        return "By AUROC, yes: it is ahead of each of them by more than chance."
    return " ".join(
        f"{words}: {', '.join(names)}."
        for words, names in (
            ("By AUROC it is worse than", better),
            ("No difference that these rows can show", even),
            ("It beats", worse),
        )
        if names
    )


def _plots(report: Report) -> dict[str, Any]:
    policy, overall = report.cuts.policy, report.overall
    return {
        "roc": report.roc and plots.roc(report.roc),
        "precision_recall": report.precision_recall
        and plots.precision_recall(report.precision_recall, overall.good / overall.n),
        "reliability": plots.reliability(report.reliability),
        "histogram": plots.histogram(
            report.histogram, pass_at=policy.pass_at, block_below=policy.block_below
        ),
        "latency": report.latency and plots.latency(report.latency),
        "learning": report.learning and plots.learning(report.learning),
        "risk": [(curve, plots.risk_coverage(curve)) for curve in report.risk],
    }


def _tables(report: Report) -> dict[str, Sequence[Any]]:
    bins, edges = report.histogram, report.histogram.edges
    return {
        "roc": _points(report.roc),
        "precision_recall": _points(report.precision_recall),
        "reliability": [
            (
                f"{part.low:.1f} to {part.high:.1f}",
                *cells(part, n="count", score="score", good="percent"),
            )
            for part in report.reliability
        ],
        "histogram": [
            (f"{low:.2f} to {high:.2f}", f"{good:,}", f"{bad:,}")
            for low, high, good, bad in zip(edges, edges[1:], bins.good, bins.bad, strict=False)
        ],
        "latency": [
            cells(point, tokens="count", median_ms="ms", p90_ms="ms", runs="count", repeats="count")
            for point in report.latency
        ],
        "learning": [
            (f"{step:,.0f}", curve.name, f"{value:.3f}")
            for curve in report.learning
            for step, value in _thinned(curve)
        ],
        "risk": [_points(curve) for curve in report.risk],
    }


def _points(curve: Curve | None) -> list[tuple[str, str]]:
    return [(f"{x:.3f}", f"{y:.3f}") for x, y in _thinned(curve)] if curve else []


def _thinned(curve: Curve) -> Sequence[tuple[float, float]]:
    """At most about 25 points, evenly spaced, including the last."""
    points = list(zip(curve.x, curve.y, strict=True))
    step = max(1, -(-len(points) // _MOST_ROWS))
    sample = points[::step]
    return sample if sample[-1] == points[-1] else [*sample, points[-1]]
