"""The gate: each interaction of a caller passes the limits and the fair share. One event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tipstaff_server.access.callers import Caller
from tipstaff_server.access.current import current_caller, set_charge
from tipstaff_server.access.fairness import FairShare
from tipstaff_server.access.limits import Usage, check_rate, check_under_way

# Callers that name themselves may be any number; beyond this, idle ones are forgotten.
_KEPT = 4096


class Gate:
    """Lets interactions in.

    Args:
        workers: Batches that run at a time.
        requests_per_second: Most interactions a second of one caller; 0 for no limit. The file of
            callers overrides it.
        requests_under_way: Most interactions of one caller at a time; as well.
        clock: The time in seconds.
    """

    def __init__(
        self,
        *,
        workers: int,
        requests_per_second: float = 0.0,
        requests_under_way: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = requests_per_second
        self._under_way = requests_under_way
        self._clock = clock
        self._fair = FairShare(workers)
        self._usages: dict[str, Usage] = {}

    @contextmanager
    def enter(self, evaluator: str) -> Iterator[None]:
        """One interaction of the call's caller, from its start to its end.

        Args:
            evaluator: The evaluator that it asks; may be empty where several serve.

        Raises:
            Forbidden: The caller may not ask this evaluator.
            Overloaded: The caller's limit or share is used up.
        """
        caller, now = current_caller(), self._clock()
        if evaluator:
            caller.check_may_ask(evaluator)
        usage = self._usage(caller)
        check_under_way(usage, caller.requests_under_way or self._under_way)
        check_rate(usage, caller.requests_per_second or self._rate, now)
        expected = self._fair.admit(caller.name, caller.weight, now)
        spent: list[float] = []
        set_charge(spent.append)
        usage.under_way += 1
        try:
            yield
        finally:
            usage.under_way -= 1
            set_charge(None)
            total = sum(spent) if spent else None
            self._fair.settle(caller.name, expected, total, self._clock())

    def check(self, count: int) -> None:
        """Refuses a call of several interactions at once, if its caller has used up its share.

        Raises:
            Overloaded: It has.
        """
        caller = current_caller()
        self._fair.check(caller.name, caller.weight, count, self._clock())

    @contextmanager
    def more(self) -> Iterator[None]:
        """More work for an interaction that was let in: it is charged, and never refused."""
        name = current_caller().name
        spent: list[float] = []
        set_charge(spent.append)
        try:
            yield
        finally:
            set_charge(None)
            self._fair.charge(name, sum(spent), self._clock())

    def _usage(self, caller: Caller) -> Usage:
        usage = self._usages.get(caller.name)
        if usage is None:
            if len(self._usages) >= _KEPT:
                self._usages = {name: each for name, each in self._usages.items() if each.under_way}
            usage = self._usages[caller.name] = Usage()
        return usage
