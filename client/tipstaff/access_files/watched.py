"""Follows files while a process runs: good ones replace the value, bad ones are logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from tipstaff.errors import TipstaffError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Watched(Generic[T]):
    """A value that is loaded from files. One thread at a time may call `poll`.

    Attributes:
        current: The value of the last files that were good.
        stale: Whether the files have become bad, so that `current` is older than they are.

    Args:
        what: What the files are, for the log.
        paths: The files; None for one that isn't set.
        load: Loads the value.

    Raises:
        TipstaffError: They can't be loaded now.
    """

    def __init__(self, what: str, paths: Iterable[Path | None], load: Callable[[], T]) -> None:
        self._what = what
        self._paths = [path for path in paths if path is not None]
        self._load = load
        # The state of the files when `current` was loaded, and at the last poll.
        self._seen = self._tried = self._read()
        self._listeners: list[Callable[[T], object]] = []
        self.current: T = load()
        self.stale = False
        self._logged = ""

    def on_change(self, listener: Callable[[T], object]) -> None:
        """Calls a function with each later value."""
        self._listeners.append(listener)

    def poll(self) -> None:
        """Loads the files again if they changed; bad ones leave the value as it is.

        Files that are replaced one by one don't fit each other for a moment, so they count as bad
        only if they are the same at the next poll. Bad ones are tried at each poll: they may become
        good by themselves, as a certificate that isn't valid yet.
        """
        now = self._read()
        if now == self._seen:
            self._tried, self.stale, self._logged = now, False, ""
            return
        again, self._tried = now == self._tried, now
        try:
            value = self._load()
        except Exception as error:  # whatever it is, the value from before is better than none
            if again:
                self.stale = True
                self._log(error)
            return
        self._seen, self.stale, self._logged = now, False, ""
        if value == self.current:
            return
        self.current = value
        for listener in self._listeners:
            listener(value)
        log.info("new %s are in force", self._what)

    def _log(self, error: Exception) -> None:
        """Logs why the files are bad, once for each reason."""
        if isinstance(error, TipstaffError):
            why, unforeseen = error.message, None
        else:
            why, unforeseen = f"{type(error).__name__}: {error}", error
        if why != self._logged:
            log.error("%s; the %s from before stay in force", why, self._what, exc_info=unforeseen)
        self._logged = why

    def _read(self) -> tuple[object, ...]:
        """What tells one state of the files from another: content and mode."""
        return tuple(_state(path) for path in self._paths)


def _state(path: Path) -> object:
    try:
        return path.read_bytes(), path.stat().st_mode
    except OSError as error:
        return error.errno
