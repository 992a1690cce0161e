"""What a flood takes from another caller's answers, with the server's own queue and admission.

By a clock of the test's own: one worker, runs of 10 ms, deadlines of 0.3 s.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tipstaff_server.access.fairness import FairShare
from tipstaff_server.errors import Overloaded
from tipstaff_server.scheduling.admission import admit
from tipstaff_server.scheduling.queue import DeadlineQueue, Entry

COST, DEADLINE, SECONDS = 0.01, 0.3, 20.0
# Calls of several interactions at once, as a flood makes them.
BATCH = 16
MODEL: Any = "model"


class OneWorker:
    """The queue of one worker, which runs the earliest deadline first."""

    def __init__(self, *, fair: bool) -> None:
        self.fair = FairShare(1) if fair else None
        self.queue = DeadlineQueue()
        self.busy_until = 0.0
        self.names: dict[int, tuple[str, float]] = {}
        self.answered: dict[str, int] = {}

    def run_until(self, now: float) -> None:
        while len(self.queue) and max(self.busy_until, self.queue[0].submitted) <= now:
            entry = self.queue.pop()
            name, expected = self.names.pop(id(entry))
            end = max(self.busy_until, entry.submitted) + COST
            if end <= entry.deadline:
                self.busy_until = end
                self.answered[name] = self.answered.get(name, 0) + 1
            if self.fair:
                self.fair.settle(name, expected, COST, now)

    def ask(self, name: str, now: float) -> None:
        self.run_until(now)
        entry = Entry(MODEL, range(10), now + DEADLINE, now, COST, COST, COST)
        try:
            expected = self.fair.admit(name, 1.0, now) if self.fair else 0.0
        except Overloaded:
            return
        try:
            busy = [self.busy_until]
            admit([entry], self.queue, busy, arrived=now, now=now, capacity=1024)
        except Overloaded:
            if self.fair:
                self.fair.settle(name, expected, None, now)
            return
        self.names[id(entry)] = (name, expected)
        self.queue.insert(entry)


def goodput(rates: dict[str, float], *, fair: bool = True) -> dict[str, float]:
    """Answers in time a second of each caller, by Poisson arrivals of calls."""
    random_state = random.Random(3)
    arrivals = []
    for name, rate in rates.items():
        size = BATCH if name == "flood" else 1
        at = 0.0
        while (at := at + random_state.expovariate(rate / size)) < SECONDS:
            arrivals += [(at, name)] * size
    server = OneWorker(fair=fair)
    for at, name in sorted(arrivals):
        server.ask(name, at)
    server.run_until(SECONDS + 1)
    return {name: server.answered.get(name, 0) / SECONDS for name in rates}


@pytest.mark.parametrize("rate", [10, 20, 30])
def test_the_others_goodput_stays_within_5_percent(rate):
    alone = goodput({"calm": rate})["calm"]
    beside = goodput({"calm": rate, "flood": 2000})
    assert beside["calm"] >= 0.95 * alone
    # What is left isn't wasted.
    assert beside["flood"] >= 0.9 * (85 - rate)


def test_without_shares_the_flood_takes_it():
    alone = goodput({"calm": 30})["calm"]
    assert goodput({"calm": 30, "flood": 2000}, fair=False)["calm"] < 0.65 * alone
