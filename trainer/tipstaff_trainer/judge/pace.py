"""When the next call may begin: rate, pauses that an endpoint asks for, circuit breaker."""

from __future__ import annotations

import asyncio
import random
import time
from threading import Event

from tipstaff_trainer.errors import JudgeError

# After so many faults in a row, of more than one question, the endpoint counts as down.
_FAULTS_TO_TRIP = 5
_LONGEST_BACKOFF = 30.0
_FIRST_BACKOFF = 0.5
# Each answer shortens the interval between calls, as the limit may have been raised.
_SPEED_UP = 0.97
# Cap idle gaps, in seconds: they carry no rate information.
_IDLE = 1.0
# Seconds between two looks at the stop event while waiting.
_STOP_CHECK = 0.2
_RESUME = "what was paid for is kept: run the labelling again later"


class StoppedError(Exception):
    """The run was stopped before this call began; nothing was asked or paid."""


def backoff(attempt: int) -> float:
    """Seconds to wait before another attempt; the first attempt is 0.

    Exponential with full jitter: calls that failed together don't come back together (Brooker 2015,
    "Exponential backoff and jitter").
    """
    return random.uniform(0, min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(attempt, 60)))


class LearnedLimit:
    """The interval between calls, learned from an endpoint's requests to wait.

    Attributes:
        interval: Seconds from one call to the next; 0 until something has been learned.
    """

    def __init__(self) -> None:
        self.interval = 0.0
        self._last_began = 0.0
        self._answers = 0
        # Recent calls, the seconds in which they began, and the share of both carried over.
        self._begun = 0.0
        self._seconds = 0.0
        self._carried = (0.0, 0.0)

    def began(self, now: float, *, held: bool) -> None:
        """Notes that a call began, and whether it had to wait for its turn."""
        if self._begun:
            gap = now - self._last_began
            self._seconds += gap if held else min(gap, _IDLE)
        self._begun += 1
        self._last_began = now

    def answered(self) -> None:
        """Notes an answer."""
        self._answers += 1
        self.interval *= _SPEED_UP

    def refused(self, now: float, seconds: float) -> None:
        """Learns from a call that the endpoint put off for some seconds.

        Some of the other calls on their way will be put off too, so the learned pace errs on the
        fast side. The next refusal corrects that; nothing would correct a pace that is too slow.
        """
        accepted = self._begun - 1
        if self._answers and accepted >= 1:
            waited = min(now - self._last_began, _IDLE) + seconds
            self.interval = (self._seconds + waited) / accepted
            # Older calls count less, but the latest few alone are too small a sample.
            self._carried = accepted / 2, self._seconds / 2
        # A refusal without an answer since the last one says nothing about speed.
        self._begun, self._seconds = self._carried
        self._answers = 0


class Pace:
    """Decides when each call of a run may begin.

    Args:
        per_minute: Most calls that may begin in a minute; None for any number.
        patience: Seconds of nothing but faults after which the run ends.
        stop: Once set, from any thread or signal handler, no further call begins.
    """

    def __init__(self, per_minute: float | None, patience: float, stop: Event) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._limit = LearnedLimit()
        self._patience = patience
        self._stop = stop
        self._next_slot = 0.0
        self._paused_until = 0.0
        self._ever_answered = False
        self._faults = 0
        self._failing: set[str] = set()
        self._trials = 0
        self._failing_since: float | None = None
        self._probe = asyncio.Lock()

    @property
    def tripped(self) -> bool:
        """Whether the endpoint counts as down, and is probed by one call at a time."""
        several = len(self._failing) > 1 or not self._ever_answered
        return self._faults >= _FAULTS_TO_TRIP and several

    @property
    def slowed(self) -> bool:
        """Whether calls are made more slowly than the settings ask for."""
        return self._limit.interval > self._interval

    async def turn(self) -> bool:
        """Waits until a call may begin.

        Returns:
            Whether the call probes an endpoint that counts as down; then `answered`, `failed` or
            `release` must follow.

        Raises:
            StoppedError: The run was stopped.
        """
        probing = held = False
        if self.tripped:
            await self._probe.acquire()
            probing = self.tripped
            if not probing:
                self._probe.release()
        try:
            # Look again after each sleep: others may have changed the times meanwhile.
            while (wait := max(self._paused_until, self._next_slot) - time.monotonic()) > 0:
                held = True
                await self.rest(wait)
            self._check_stop()
        except BaseException:
            self.release(probing)
            raise
        now = time.monotonic()
        self._limit.began(now, held=held)
        self._next_slot = max(self._next_slot, now) + max(self._interval, self._limit.interval)
        return probing

    async def rest(self, seconds: float) -> None:
        """Sleeps, unless the run is stopped meanwhile.

        Raises:
            StoppedError: The run was stopped.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._check_stop()
            await asyncio.sleep(min(_STOP_CHECK, left))

    def pause(self, seconds: float, why: str) -> None:
        """Holds all calls back for some seconds, as the endpoint asked.

        Afterwards calls begin at the rate that the endpoint has accepted so far, pauses included.
        If all began at once, all but the first would be refused again, and refused calls count
        towards the limits of some endpoints.

        Raises:
            JudgeError: The pause, or the time since the last answer, is longer than the patience.
        """
        since = self._since()
        if seconds > self._patience:
            raise JudgeError(f"the endpoint asks to wait {seconds:,.0f} s ({why})", remedy=_RESUME)
        if since >= self._patience:
            raise JudgeError(f"every call was put off for {since:,.0f} s ({why})", remedy=_RESUME)
        now = time.monotonic()
        # Of calls that were on their way together, only the first refusal counts.
        if now >= self._paused_until:
            self._limit.refused(now, seconds)
        self._paused_until = max(self._paused_until, now + seconds)

    def answered(self, probing: bool) -> None:
        """Notes that the endpoint is up."""
        self._ever_answered = True
        self._limit.answered()
        self._faults = self._trials = 0
        self._failing.clear()
        self._failing_since = None
        self.release(probing)

    def release(self, probing: bool) -> None:
        """Lets the next call probe an endpoint that counts as down."""
        if probing:
            self._probe.release()

    def failed(self, subject: str, probing: bool, why: str) -> None:
        """Notes a fault of the endpoint.

        Raises:
            JudgeError: There was nothing but faults for longer than the patience.
        """
        since, tripped = self._since(), self.tripped
        self._faults += 1
        self._failing.add(subject)
        # Faults of calls that began before the breaker tripped don't count again.
        if self.tripped and (probing or not tripped):
            pause = backoff(self._trials)
            self._trials += 1
            self._paused_until = max(self._paused_until, time.monotonic() + pause)
        self.release(probing)
        if self.tripped and since >= self._patience:
            raise JudgeError(
                f"the endpoint has not answered for {since:,.0f} s: {why}", remedy=_RESUME
            )

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StoppedError("stopped")

    def _since(self) -> float:
        """Seconds of nothing but faults and requests to wait, since the first of them."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since
