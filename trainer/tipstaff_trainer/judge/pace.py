"""When the next call may go out: the rate, the pauses an endpoint asks for, the circuit breaker."""

from __future__ import annotations

import asyncio
import random
import time
from threading import Event

from tipstaff_trainer.errors import JudgeError

# So many faults in a row, and not all of one question's, and the endpoint is taken to be down.
_FAULTS_TO_TRIP = 5
_LONGEST_BACKOFF = 30.0
_FIRST_BACKOFF = 0.5
# With each answer calls may follow one another so much faster, as the limit may have been raised.
_SPEED_UP = 0.97
# Of a while in which no call had to wait for its turn, no more seconds say anything about a limit.
_IDLE = 1.0
# While it waits, it looks this often, in seconds, whether it is to stop.
_LOOK_UP = 0.2


class StoppedError(Exception):
    """The job was stopped before this call began, so nothing was asked and nothing is paid."""


def backoff(attempt: int) -> float:
    """Seconds to wait before another attempt, the first being 0.

    Exponential with full jitter, so that calls that failed together don't come back together
    (Brooker 2015, "Exponential backoff and jitter").
    """
    return random.uniform(0, min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(attempt, 60)))


class LearnedLimit:
    """How far apart calls are to begin, as an endpoint's requests to wait teach it.

    Attributes:
        interval: Seconds from one call to the next; 0 as long as nothing has been learned.
    """

    def __init__(self) -> None:
        self.interval = 0.0
        self._last_began = 0.0
        self._answers = 0
        # Of late: calls that began, and the seconds they took to.
        self._begun = 0.0
        self._seconds = 0.0
        self._kept = (0.0, 0.0)

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
        """Learns from the first of several calls that were put off, for so many seconds.

        Of the calls on their way beside it some will be, too. So what is learned is rather too
        fast, which the next refusal tells; too slow would not be told by anything.
        """
        let_through = self._begun - 1
        if self._answers and let_through >= 1:
            waited = min(now - self._last_began, _IDLE) + seconds
            self.interval = (self._seconds + waited) / let_through
            # What is longer ago counts less, but a short while alone is no measure.
            self._kept = let_through / 2, self._seconds / 2
        # With nothing answered since the last time it isn't a matter of how fast.
        self._begun, self._seconds = self._kept
        self._answers = 0


class Pace:
    """One for all calls of a job.

    Args:
        per_minute: How many calls may begin in a minute; None for any number.
        patience: Seconds of nothing but faults after which the job stops.
        stop: Once set, from whatever thread or signal handler, no call begins any more.
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
        """Whether the endpoint is taken to be down, and asked by one call at a time."""
        several = len(self._failing) > 1 or not self._ever_answered
        return self._faults >= _FAULTS_TO_TRIP and several

    async def turn(self) -> bool:
        """Waits until a call may begin.

        Returns:
            Whether it is the one that tries out an endpoint that is taken to be down; then
            `answered` or `failed` must follow, or `left`.

        Raises:
            StoppedError: The job was stopped.
        """
        probing = False
        if self.tripped:
            await self._probe.acquire()
            probing = self.tripped
            if not probing:
                self._probe.release()
        # One after the other, each looking again at what has changed while it slept.
        held = False
        try:
            while (wait := max(self._paused_until, self._next_slot) - time.monotonic()) > 0:
                held = True
                await self.rest(wait)
            self._check_stop()
        except BaseException:
            self.left(probing)
            raise
        now = time.monotonic()
        self._limit.began(now, held=held)
        self._next_slot = max(self._next_slot, now) + max(self._interval, self._limit.interval)
        return probing

    async def rest(self, seconds: float) -> None:
        """Sleeps, with an eye on whether the job is stopped.

        Raises:
            StoppedError: It is.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._check_stop()
            await asyncio.sleep(min(_LOOK_UP, left))

    @property
    def slowed(self) -> bool:
        """Whether calls follow one another more slowly than they were told to."""
        return self._limit.interval > self._interval

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise StoppedError

    def pause(self, seconds: float, why: str) -> None:
        """Lets no call begin for a while, as the endpoint asked for.

        Afterwards they follow one another as fast as it has taken them so far, pauses included: all
        at once they would be refused again, all but the first, and refused calls count for the
        limits of some endpoints.

        Raises:
            JudgeError: It is longer than the job's patience, or the endpoint has asked for nothing
                else for as long.
        """
        since = self._since()
        if seconds > self._patience:
            raise JudgeError(
                f"the endpoint asks to wait for {seconds:,.0f} s ({why}); what was paid for is "
                "kept: run the command again then"
            )
        if since >= self._patience:
            raise JudgeError(
                f"the endpoint has put every call off for {since:,.0f} s ({why}); what was paid "
                "for is kept: run the command again later"
            )
        now = time.monotonic()
        # Calls that were on their way with the one that is refused first say nothing new.
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
        self.left(probing)

    def left(self, probing: bool) -> None:
        """Lets the next one try an endpoint that is taken to be down."""
        if probing:
            self._probe.release()

    def failed(self, question: str, probing: bool, why: str) -> None:
        """Notes a fault of the endpoint, at a question.

        Raises:
            JudgeError: There was nothing but faults for longer than the job's patience.
        """
        since, tripped = self._since(), self.tripped
        self._faults += 1
        self._failing.add(question)
        # Calls that were on their way when it tripped say nothing new.
        if self.tripped and (probing or not tripped):
            pause = backoff(self._trials)
            self._trials += 1
            self._paused_until = max(self._paused_until, time.monotonic() + pause)
        self.left(probing)
        if self.tripped and since >= self._patience:
            raise JudgeError(
                f"the endpoint has not answered for {since:,.0f} s: {why}; what was paid for is "
                "kept: run the command again when it is up"
            )

    def _since(self) -> float:
        """For how long nothing has come but faults and requests to wait, in seconds."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since
