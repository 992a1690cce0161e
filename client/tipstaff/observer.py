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
        target: The client's target, for the log.
        on_event: The application's hook.
        clock: The time in seconds.
    """

    def __init__(
        self,
        target: str,
        on_event: OnEvent | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self.on_event = on_event
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._fallbacks: Counter[tuple[Verdict, str]] = Counter()
        self._last_error = ""
        self._logged_at = float("-inf")
        self._hook_failed = False

    @property
    def failures(self) -> dict[str, int]:
        """Number of requests without an answer so far, by gRPC status code."""
        with self._lock:
            return dict(self._failures)

    def emit(self, event: ClientEvent) -> None:
        """Passes an event to the hook; a hook that raises breaks no call, and is logged once."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception:
            if not self._hook_failed:
                self._hook_failed = True
                _log.exception("on_event raised an error; later ones are not logged")

    def count(self, error: NoAnswerError) -> None:
        """Counts a request without an answer."""
        with self._lock:
            self._failures[error.code] += 1

    def fall_back(self, verdict: Verdict, error: NoAnswerError, event: ClientEvent) -> None:
        """Logs a fallback, at most once in `LOG_SECONDS`, and passes it to the hook."""
        with self._lock:
            self._fallbacks[verdict, error.code] += 1
            self._last_error = str(error)
            summary = self._summary() if self._is_due() else ""
        if summary:
            _log.warning(summary)
        self.emit(event)

    def close(self) -> None:
        """Logs the fallbacks that the log doesn't hold yet."""
        with self._lock:
            summary = self._summary() if self._fallbacks else ""
        if summary:
            _log.warning(summary)

    def _is_due(self) -> bool:
        return self._clock() - self._logged_at >= LOG_SECONDS

    def _summary(self) -> str:
        """The fallbacks since the last summary, in one line."""
        verdicts: Counter[Verdict] = Counter()
        codes: Counter[str] = Counter()
        for (verdict, code), times in self._fallbacks.items():
            verdicts[verdict] += times
            codes[code] += times
        since = self._clock() - self._logged_at
        period = "" if since == float("inf") else f" in the last {since:.0f} s"
        self._fallbacks.clear()
        self._logged_at = self._clock()
        outputs = ", ".join(f"{times} got {verdict}" for verdict, times in verdicts.items())
        reasons = ", ".join(f"{code} {times}" for code, times in codes.items())
        return (
            f"outputs were not checked{period}: {outputs} by on_failure ({reasons}); "
            f"the last error: {self._last_error}"
        )
