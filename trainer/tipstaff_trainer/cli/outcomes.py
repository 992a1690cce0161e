"""Prints the outcomes of named cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from tipstaff_server.evaluator.cases import Outcome, failures


def print_outcomes(outcomes: Sequence[Outcome], file: TextIO | None = None) -> bool:
    """Prints how many cases came out as expected, and those that fail.

    Args:
        outcomes: Nothing is printed if there are none.
        file: Standard output if None.

    Returns:
        Whether a case fails.
    """
    failed = failures(outcomes)
    if outcomes:
        met = len(outcomes) - len(failed)
        print(f"named cases: {met} of {len(outcomes)} as expected", file=file)
    for outcome in failed:
        print(f"  fails: {outcome}", file=file)
    return bool(failed)
