"""What an operation reports while it runs, and progress bars on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

from tipstaff.errors import describe

Item = TypeVar("Item")

_SECONDS_A_LINE = 30


class Reporter:
    """Takes what an operation reports while it runs; this one ignores it.

    A remedy names fields in braces, as an error's does (`tipstaff.errors.TipstaffError`).
    """

    def note(self, message: str, *, remedy: str = "") -> None:
        """Takes something worth knowing: how data was read, what was found."""

    def warn(self, message: str, *, remedy: str = "") -> None:
        """Takes something that may be wrong, and what to do about it."""

    def step(self, done: int, total: int, message: str = "") -> None:
        """Takes how far the operation is.

        Args:
            done: Rows, or whatever it counts, that are done.
            total: How many there are.
            message: More in words, as what was spent.
        """


class TerminalReporter(Reporter):
    """Prints notes and warnings on standard error, out of the way of what programs read.

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


def progress(items: Iterable[Item] | None = None, **given: Any) -> tqdm[Item]:
    """A tqdm bar; where no terminal is there to redraw it, whole lines in its place.

    What takes less than half a minute leaves no line.

    Args:
        items: To iterate over; None to call `update` oneself.
        given: As for tqdm.
    """
    if not sys.stderr.isatty():
        given |= {
            "file": _Lines(sys.stderr),
            "bar_format": _LINE,
            "mininterval": _SECONDS_A_LINE,
            "maxinterval": 2 * _SECONDS_A_LINE,
            "delay": _SECONDS_A_LINE,
        }
    return tqdm(items, **given)


class _Lines:
    """What is drawn, drawn over and wiped out on a terminal, as lines."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        if line := text.strip():
            self._file.write(f"{line}\n")

    def flush(self) -> None:
        self._file.flush()
