"""Ordinary callers: a steady stream of calls, each of which is accounted for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from chaos_runs.site import NAME, TEXTS, Site
from tipstaff import Client, OverloadedError, ScoringError

DEADLINE = 1.0
_THREADS = 4
# Pause between two calls of a thread.
_PAUSE = 0.04
# A call that ends later than this after its deadline hung.
_HUNG = 0.5
# A thread that wakes up later than this was kept from running.
_STALL = 0.05


@dataclass
class Tally:
    """What became of the calls of one run.

    Attributes:
        asked: Calls made.
        answered: Calls with a score in time.
        refused: Calls that the server refused as overload.
        failed: Other calls without a score, by gRPC status.
        late: Scores after the deadline.
        wrong: Scores that differ from the same computed alone.
        hung: Calls that ended long after their deadline, not counting time in which this process
            didn't run.
        last_failure: When the last call without a score started.
        processor_seconds: What the callers took of this process's time.
        stall: The longest time that this process wanted to run and didn't: a busy machine.
        failures: Calls without a score in time: when each started, how long it took, and why.
    """

    asked: int = 0
    answered: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    late: int = 0
    wrong: int = 0
    hung: int = 0
    last_failure: float = 0.0
    processor_seconds: float = 0.0
    stall: float = 0.0
    failures: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Share of the calls that were answered in time."""
        return self.answered / max(1, self.asked)


class Callers:
    """Calls until stopped."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tally = Tally()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._client = Client(
            site.target,
            evaluator=NAME,
            timeout=DEADLINE,
            tls=site.tls,
            token=site.ordinary_token,
        )
        self._stalls: list[tuple[float, float]] = []
        self._threads = [
            *(threading.Thread(target=self._call, args=(number,)) for number in range(_THREADS)),
            threading.Thread(target=self._notice_stalls),
        ]

    def start(self) -> None:
        """Starts calling."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> Tally:
        """Waits for the calls under way, and returns what became of all."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._tally.stall = max((late for _, late in self._stalls), default=0.0)
        return self._tally

    def _notice_stalls(self) -> None:
        while not self._over.is_set():
            wake_up = time.monotonic() + _PAUSE
            time.sleep(_PAUSE)
            if (late := time.monotonic() - wake_up) > _STALL:
                self._stalls.append((wake_up, late))

    def _call(self, number: int) -> None:
        index = number
        while not self._over.is_set():
            index = (index + 1) % len(TEXTS)
            self._one(index)
            time.sleep(_PAUSE)
        with self._lock:
            self._tally.processor_seconds += time.thread_time()

    def _one(self, index: int) -> None:
        text, started = TEXTS[index], time.monotonic()
        code, why, wrong = "", "", False
        try:
            score = self._client.score(
                input=text.input, output=text.output, ground_truth=text.ground_truth
            )
            wrong = self._site.expected.get((score.version, index)) != score.score
        except OverloadedError as error:
            code, why = "refused", str(error)
        except ScoringError as error:
            code, why = error.code, str(error)
        seconds = time.monotonic() - started
        stalled = sum(late for when, late in self._stalls if when > started)
        with self._lock:
            tally = self._tally
            tally.asked += 1
            tally.wrong += wrong
            tally.hung += seconds - stalled > DEADLINE + _HUNG
            if code:
                tally.last_failure = started
            if code or seconds > DEADLINE:
                tally.failures.append((started, seconds, why or "late"))
            if code == "refused":
                tally.refused += 1
            elif code:
                tally.failed[code] += 1
            elif seconds > DEADLINE:
                tally.late += 1
            else:
                tally.answered += 1
