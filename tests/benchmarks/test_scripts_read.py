"""The docs' table of scripts is what its command prints."""

from __future__ import annotations

import re
from pathlib import Path

from scripts import table

from tipstaff_trainer.encoders.base import DEFAULT_BASE

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "unread-text.md"


def test_the_table_is_what_the_command_prints():
    block = re.search(
        r"<!-- python benchmarks/scripts.py -->\n\n(.*?)\n\n<!-- end -->",
        PAGE.read_text(),
        re.DOTALL,
    )
    assert block[1].splitlines() == table(DEFAULT_BASE)
