"""Reports of a running operation, and progress bars on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from tipstaff.errors import describe

Item = TypeVar("Item")

_SECONDS_A_LINE = 30


class Reporter:
    """Receives what an operation reports while it runs; this base class ignores it.

    A remedy names fields in braces, as an error's does (`tipstaff.errors.TipstaffError`).
    """

    def note(self, message: str, *, remedy: str = "") -> None:
        """Receives information, as on how a file was read."""

    def warn(self, message: str, *, remedy: str = "") -> None:
        """Receives a warning of something that may be wrong."""

    def step(self, done: int, total: int, message: str = "") -> None:
        """Receives the progress.

        Args:
            done: Rows, or other units of work, that are done.
            total: All of them.
            message: Further information, as the money spent.
        """


class TerminalReporter(Reporter):
    """Prints notes and warnings on standard error, apart from the output that programs read.

    Args:
        name_of: Gives the name that the reader knows a field by, as a flag.
    """

    def __init__(self, name_of: Callable[[str], str] = str) -> None:
        self._name_of = name_of

    def note(self, message: str, *, remedy: str = "") -> None:
        """Prints a note."""
        self._print("note", message, remedy)

    def warn(self, message: str, *, remedy: str = "") -> None:
        """Prints a warning."""
        self._print("warning", message, remedy)

    def _print(self, kind: str, message: str, remedy: str) -> None:
        text = describe(message, remedy=remedy, name_of=self._name_of)
        print(f"{kind}: {text}", file=sys.stderr)


_LINE = "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}, {remaining} left{postfix}"


def progress(items: Iterable[Item] | None = None, **options: Any) -> tqdm[Item]:
    """A tqdm bar; whole lines where standard error is not a terminal.

    Work of less than half a minute prints no line.

    Args:
        items: The items to iterate over; None where the caller calls `update`.
        options: As for tqdm.
    """
    if not sys.stderr.isatty():
        options |= {
            "file": _Lines(),
            "bar_format": _LINE,
            "mininterval": _SECONDS_A_LINE,
            "maxinterval": 2 * _SECONDS_A_LINE,
            "delay": _SECONDS_A_LINE,
        }
    return tqdm(items, **options)


class _Lines:
    """A file that turns the redrawing of a bar into whole lines."""

    def write(self, text: str) -> None:
        if line := text.strip():
            print(line, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()
