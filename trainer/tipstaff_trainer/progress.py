"""Progress on standard error: a bar for people, a line now and then for a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

_SECONDS_A_LINE = 30
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
