"""The attempts of one call: where and when each starts, and when the call is decided.

Pure: no network, no sleep, and the clock is passed in; the blocking and the asyncio client drive
it. Each attempt gets all the time that the call has left, since the server plans with the deadline.
If its address stays silent for a part of that time (`Pool.patience`), the address is ejected and
another attempt starts elsewhere while the first goes on; the first answer wins. Scoring changes
nothing on a server, so doing it twice is safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tipstaff.pool import Endpoint, Pool
from tipstaff.statuses import Status

_MOST = 4

# Before a retry at an address that refused: 25, 50, 100 ms.
_BACKOFF = 0.025

# The request is at fault: any other server would refuse it too.
_FINAL = {
    *("INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "UNAUTHENTICATED", "PERMISSION_DENIED"),
}

# The server didn't take the call. With CANCELLED, gRPC ends the calls that reach a server while it
# stops. Attempts that this client cancels itself never get here.
_NOT_TAKEN = ("UNAVAILABLE", "CANCELLED")


class RetryBudget:
    """Bounds further attempts to a share of the answered calls, as gRPC's retry throttling does.

    A token bucket: each answered call adds a tenth of a token, each further attempt takes one. It
    starts with 10 tokens, enough for the calls that a stopping server leaves unanswered. It holds
    50 at most, so that a server that refuses everything gets no more than 50 further attempts.
    """

    SHARE = 0.1
    FIRST = 10.0
    MOST = 50.0

    def __init__(self) -> None:
        self._tokens = self.FIRST
        self._lock = threading.Lock()

    def deposit(self) -> None:
        """Notes an answered call."""
        if self._tokens < self.MOST:
            with self._lock:
                self._tokens = min(self.MOST, self._tokens + self.SHARE)

    def take(self) -> bool:
        """Takes a token for a further attempt; returns whether one was left."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


@dataclass(eq=False, slots=True)
class Attempt:
    """One attempt: its endpoint and the time it started."""

    endpoint: Endpoint
    started: float


class Attempts:
    """The attempts of one call.

    Args:
        pool: Where to send them.
        budget: What pays for attempts beyond the first.
        timeout: Seconds until the call's deadline.
        clock: The time in seconds.
        on_retry: Called with an address and the reason, a gRPC status code, before each further
            attempt.
    """

    def __init__(
        self,
        pool: Pool,
        budget: RetryBudget,
        timeout: float,
        *,
        clock: Callable[[], float],
        on_retry: Callable[[str, str], object],
    ) -> None:
        self._pool = pool
        self._budget = budget
        self._clock = clock
        self._on_retry = on_retry
        now = clock()
        self._deadline = now + timeout
        self._patience = pool.patience(timeout)
        self._running: list[Attempt] = []
        self._tried: list[Endpoint] = []
        self._reason = ""
        # When to start an attempt, or to check whether the last one is lost; None for never.
        self._due: float | None = now

    def remaining(self) -> float:
        """Seconds until the call's deadline."""
        return max(0.0, self._deadline - self._clock())

    def wait(self) -> float | None:
        """Seconds until `start` is to be called; None if only a result can make it due."""
        return None if self._due is None else max(0.0, self._due - self._clock())

    def start(self) -> Attempt | None:
        """Starts the next attempt if it is due; each must be followed by `finish` or `close`."""
        now = self._clock()
        if self._due is None or now < self._due:
            return None
        if self._running and not self._reason and not self._is_lost(self._running[-1], now):
            return None
        endpoint = self._pool.pick(avoid=self._tried)
        if self._tried:
            self._on_retry(endpoint.address, self._reason)
        self._reason = ""
        attempt = Attempt(endpoint, now)
        self._tried.append(endpoint)
        self._running.append(attempt)
        self._due = None if self._pool.alone else now + self._patience
        return attempt

    def finish(self, attempt: Attempt, status: Status | None) -> bool:
        """Notes an attempt's result; None for an answer.

        Returns:
            Whether the call is decided by it.
        """
        self._end(attempt)
        if status is None:
            self._pool.replied(attempt.endpoint, attempt.started)
            self._budget.deposit()
            return True
        if status.code in _NOT_TAKEN:
            self._pool.failed(attempt.endpoint, attempt.started)
            return not (self._retries(status) or self._running)
        if status.code != "DEADLINE_EXCEEDED":
            self._pool.replied(attempt.endpoint, attempt.started)
        return status.code in _FINAL or not self._running

    def go_on(self, endpoint: Endpoint, status: Status) -> bool:
        """Takes over after a first attempt, made without this object, failed.

        Returns:
            Whether there may be another attempt.
        """
        self._tried.append(endpoint)
        self._due = None
        return status.code in _NOT_TAKEN and self._retries(status)

    def close(self) -> None:
        """Ends the attempts that still run, since the call is decided or was cancelled."""
        while self._running:
            self._end(self._running[0])

    def _end(self, attempt: Attempt) -> None:
        self._running.remove(attempt)
        self._pool.release(attempt.endpoint)

    def _is_lost(self, attempt: Attempt, now: float) -> bool:
        """Whether an attempt counts as lost, and another one is to start beside it."""
        lost_at = max(attempt.started, attempt.endpoint.replied_at) + self._patience
        if now < lost_at:
            self._due = lost_at
            return False
        self._pool.failed(attempt.endpoint, attempt.started)
        self._due = None
        if not (self._may_retry() and self._pool.has_other(self._tried) and self._budget.take()):
            return False
        self._reason = "DEADLINE_EXCEEDED"
        return True

    def _retries(self, status: Status) -> bool:
        """Whether a refused attempt is made again; if so, sets when."""
        if self._reason:
            # Another refused attempt has paid for the next one already.
            return True
        if not (status.may_retry and self._may_retry()):
            return False
        elsewhere = self._pool.has_other(self._tried)
        backoff = 0.0 if elsewhere else _BACKOFF * 2 ** (len(self._tried) - 1)
        due = self._clock() + max(backoff, status.retry_after or 0.0)
        if due >= self._deadline or not self._budget.take():
            return False
        self._due = due
        self._reason = status.code
        return True

    def _may_retry(self) -> bool:
        return len(self._tried) < _MOST
