"""Writes a comparison as a folder: `index.html` and `comparison.json`."""

from __future__ import annotations

from pathlib import Path

from tipstaff_trainer.evaluation.comparison import SIGNIFICANT, Comparison
from tipstaff_trainer.report.page import PAGE_FILE, write_folder
from tipstaff_trainer.report.rendering import environment

JSON_FILE = "comparison.json"
_MOST_ROWS = 25


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Writes both files, over those of an earlier comparison.

    Returns:
        The page.

    Raises:
        ReportError: The folder can't be written, or holds other files.
    """
    template = environment().get_template("comparison.html.j2")
    page = template.render(
        it=comparison, headline=headline(comparison), verdict=in_words(comparison), most=_MOST_ROWS
    )
    files = {PAGE_FILE: page, JSON_FILE: comparison.model_dump_json(indent=1) + "\n"}
    return write_folder(folder, files, json_file=JSON_FILE)


def headline(comparison: Comparison) -> str:
    """What the verdicts say where no regression is beyond chance, in a sentence."""
    rows = comparison.changed_verdicts
    changes = [
        f"{len(now):,} {kind} rows now {does} ({len(no_longer):,} no longer)"
        for kind, does, now, no_longer in (
            ("bad", "pass", rows.bad_now_pass, rows.bad_no_longer_pass),
            ("good", "are blocked", rows.good_now_blocked, rows.good_no_longer_blocked),
        )
        if now
    ]
    if not changes:
        return "No regression."
    return f"{' and '.join(changes).capitalize()}, no more than chance explains."


def in_words(comparison: Comparison) -> str:
    """The result in a sentence."""
    better, worse = len(comparison.better), len(comparison.worse)
    if better > worse and comparison.p < SIGNIFICANT:
        return f"The second is better: {better} rows against {worse} (p = {comparison.p:.2g})."
    return f"On these rows neither is clearly better ({better} rows better, {worse} worse)."
