"""Writes a comparison as a folder: `index.html` and `comparison.json`."""

from __future__ import annotations

from pathlib import Path

from tipstaff_trainer.evaluation.comparison import Comparison
from tipstaff_trainer.evaluation.headline import headline
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
    page = template.render(it=comparison, headline=headline(comparison), most=_MOST_ROWS)
    files = {PAGE_FILE: page, JSON_FILE: comparison.model_dump_json(indent=1) + "\n"}
    return write_folder(folder, files, json_file=JSON_FILE)
