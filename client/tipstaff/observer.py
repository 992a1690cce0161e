"""Makes failures seen: counts them, logs fallbacks, and passes events to the application's hook."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from tipstaff.errors import NoAnswerError
from tipstaff.events import ClientEvent, OnEvent
from tipstaff.types import Verdict

LOG_SECONDS = 60.0

_log = logging.getLogger("tipstaff")


class Observer:
    """Watches the calls of one client, from any thread.

    Args:
        on_event: The application's hook.
        clock: The time in seconds.
    """

    def __init__(
        self, on_event: OnEvent | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.on_event = on_event
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._unlogged: Counter[tuple[Verdict, str]] = Counter()
        self._last_error = ""
        self._logged_at: float | None = None
        self._hook_failed = False

    @property
    def failures(self) -> dict[str, int]:
        """Requests without an answer so far, by gRPC status code."""
        with self._lock:
            return dict(self._failures)

    def emit(self, event: ClientEvent) -> None:
        """Passes an event to the hook. A hook that raises breaks no call; the log has the first."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception:
            if not self._hook_failed:
                self._hook_failed = True
                _log.exception("on_event raised an error; further ones are not logged")

    def failed(self, error: NoAnswerError) -> None:
        """Counts a request without an answer."""
        with self._lock:
            self._failures[error.code] += 1

    def fell_back(self, verdict: Verdict, error: NoAnswerError, event: ClientEvent) -> None:
        """Logs a fallback, with others at most once in `LOG_SECONDS`, and passes it to the hook."""
        with self._lock:
            self._unlogged[verdict, error.code] += 1
            self._last_error = str(error)
            is_due = self._logged_at is None or self._clock() >= self._logged_at + LOG_SECONDS
            warning = self._take_warning() if is_due else ""
        if warning:
            _log.warning(warning)
        self.emit(event)

    def close(self) -> None:
        """Logs the fallbacks that are not in the log yet."""
        with self._lock:
            warning = self._take_warning() if self._unlogged else ""
        if warning:
            _log.warning(warning)

    def _take_warning(self) -> str:
        """One line about the fallbacks since the last one."""
        verdicts: Counter[str] = Counter()
        codes: Counter[str] = Counter()
        for (verdict, code), count in self._unlogged.items():
            verdicts[verdict] += count
            codes[code] += count
        total = verdicts.total()
        now = self._clock()
        period = "" if self._logged_at is None else f" in the last {now - self._logged_at:.0f} s"
        self._unlogged.clear()
        self._logged_at = now
        return (
            f"{total} {'output was' if total == 1 else 'outputs were'} not checked{period}; "
            f"on_failure gave {_listed(verdicts)}; reasons: {_listed(codes)}; "
            f"last error: {self._last_error}"
        )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
