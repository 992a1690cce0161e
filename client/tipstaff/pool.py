"""Chooses the address of each attempt, and takes addresses that don't answer out of rotation.

Pure: no network, and the clock is passed in. An address is

    in rotation ──an attempt fails──▶ ejected ──a probe is answered──▶ on trial
         ▲                              ▲ ▲ └─┘ no answer: later           │ │
         └──────────────────────────────┼─┴── its one call fails ──────────┘ │
                                        └── its one call is answered ────────┘
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from tipstaff.connection import Connection

# Seconds between probes of an address. The first probe is sent at once, then the delay doubles.
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 5.0
_MOST_DOUBLINGS = 10

# An attempt counts as lost after this many seconds of silence, or twice the slowest recent reply if
# that is longer, but after half of the call's time at the latest.
_PATIENCE = 1.0
_SLOWEST_DECAY = 0.99


@dataclass(eq=False, slots=True)
class Endpoint:
    """One address of a server, and its state.

    Attributes:
        address: A target of gRPC for this address alone.
        connection: What the client opened for it; None before the first attempt.
        outstanding: Number of attempts and probes that run.
        replied_at: When it last answered anything.
        failures: Number of attempts and probes that failed since it last answered a call.
        changed_at: When it was last ejected, put on trial or restored. The failure of an attempt
            that started earlier is ignored.
        on_trial: Whether it answered a probe and may get one call.
        probing: Whether a probe runs.
        probe_at: When the next probe is due.
        retired: Whether the target no longer has this address, or another connection serves it.
    """

    address: str
    connection: Connection | None = None
    outstanding: int = 0
    replied_at: float = float("-inf")
    failures: int = 0
    changed_at: float = float("-inf")
    on_trial: bool = False
    probing: bool = False
    probe_at: float = 0.0
    retired: bool = False

    @property
    def in_rotation(self) -> bool:
        """Whether it may get a call."""
        return not self.failures or (self.on_trial and not self.outstanding)

    def renewed(self) -> Endpoint:
        """The same address with a new connection: its attempts and its probe stay behind."""
        return replace(self, connection=None, outstanding=0, probing=False)

    @property
    def rank(self) -> int:
        """Orders addresses when all are ejected: the fewer failures, the better."""
        return 0 if self.in_rotation else self.failures


class Pool:
    """The addresses of a target. May be used from any thread.

    Args:
        clock: The time in seconds.
        on_change: Called with an address and whether it is in rotation again, when that changes.
        close: Closes a connection.
        position: The position of the first address to choose, so that not all clients begin with
            the same one.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        on_change: Callable[[str, bool], object],
        close: Callable[[Connection], object],
        position: int = 0,
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._close = close
        self._position = position
        self._lock = threading.Lock()
        self._addresses: tuple[str, ...] = ()
        self._endpoints: list[Endpoint] = []
        # Retired, with attempts under way.
        self._ending: list[Endpoint] = []
        self._slowest = 0.0

    @property
    def alone(self) -> bool:
        """Whether there is one address only, which is then never ejected."""
        return len(self._endpoints) == 1

    def update(self, addresses: tuple[str, ...]) -> None:
        """Takes over the target's present addresses; those that stay keep their state."""
        if addresses is self._addresses:
            return
        with self._lock:
            self._addresses = addresses
            known = {endpoint.address: endpoint for endpoint in self._endpoints}
            idle = self._replace([known.get(each) or Endpoint(each) for each in addresses])
        self._disconnect(idle)

    def renew(self) -> None:
        """Has each address connected to anew; attempts under way end on their own connection.

        An address that was ejected stays so until its next probe is answered.
        """
        with self._lock:
            idle = self._replace([endpoint.renewed() for endpoint in self._endpoints])
        self._disconnect(idle)

    def _replace(self, endpoints: list[Endpoint]) -> list[Endpoint]:
        """Retires all endpoints but these; returns the retired ones that no attempt uses."""
        retired = [each for each in self._endpoints if each not in endpoints]
        self._endpoints = endpoints
        for endpoint in retired:
            endpoint.retired = True
        self._ending += [endpoint for endpoint in retired if endpoint.outstanding]
        return [endpoint for endpoint in retired if not endpoint.outstanding]

    def pick(self, avoid: Collection[Endpoint] = ()) -> Endpoint:
        """Chooses the address with the fewest attempts, in turn among equals.

        Args:
            avoid: Endpoints to take only if all others are ejected.
        """
        with self._lock:
            chosen = self._endpoints[0] if self.alone else self._next(avoid)
            chosen.outstanding += 1
            return chosen

    def _next(self, avoid: Collection[Endpoint]) -> Endpoint:
        count = len(self._endpoints)
        turn = [self._endpoints[(self._position + step) % count] for step in range(count)]
        chosen = min(turn, key=lambda each: (each.rank, each in avoid, each.outstanding))
        self._position = (self._endpoints.index(chosen) + 1) % count
        return chosen

    def has_other(self, than: Collection[Endpoint]) -> bool:
        """Whether an endpoint other than these is in rotation."""
        with self._lock:
            return any(each.in_rotation and each not in than for each in self._endpoints)

    def patience(self, timeout: float) -> float:
        """Seconds of silence after which an attempt counts as lost, in a call of that timeout."""
        return min(timeout / 2, max(_PATIENCE, 2 * self._slowest))

    def close(self) -> None:
        """Closes all connections, and so ends the attempts under way."""
        with self._lock:
            endpoints = [*self._endpoints, *self._ending]
            self._ending.clear()
        self._disconnect(endpoints)

    def release(self, endpoint: Endpoint) -> None:
        """Ends an attempt."""
        with self._lock:
            endpoint.outstanding -= 1
            closes = not endpoint.outstanding and endpoint in self._ending
            if closes:
                self._ending.remove(endpoint)
        if closes:
            self._disconnect([endpoint])

    def replied(self, endpoint: Endpoint, started: float) -> None:
        """Notes an answer to an attempt, by when that started; an ejected address is restored."""
        with self._lock:
            now = endpoint.replied_at = self._clock()
            self._slowest = max(now - started, _SLOWEST_DECAY * self._slowest)
            restored = endpoint.failures > 0 and not endpoint.retired
            if restored:
                endpoint.failures = 0
                endpoint.on_trial = False
                endpoint.changed_at = now
        if restored:
            self._on_change(endpoint.address, True)

    def failed(self, endpoint: Endpoint, started: float) -> None:
        """Notes that an attempt was not answered, by when it started, and ejects the address."""
        with self._lock:
            if self.alone or endpoint.retired or started < endpoint.changed_at:
                return
            ejected = not endpoint.failures
            self._eject(endpoint)
        if ejected:
            self._on_change(endpoint.address, False)

    def due_probes(self) -> Iterable[Endpoint]:
        """Endpoints to probe now; each must be followed by `probed`."""
        if not any(endpoint.failures for endpoint in self._endpoints):
            return []
        with self._lock:
            now = self._clock()
            due = [
                each
                for each in self._endpoints
                if each.failures and not each.on_trial and not each.probing and each.probe_at <= now
            ]
            for endpoint in due:
                endpoint.probing = True
                endpoint.outstanding += 1
            return due

    def probed(self, endpoint: Endpoint, answered: bool) -> None:
        """Notes a probe's end: an answer puts an ejected address on trial."""
        with self._lock:
            endpoint.probing = False
            if endpoint.failures:
                if answered:
                    endpoint.on_trial = True
                    endpoint.changed_at = self._clock()
                else:
                    self._eject(endpoint)
        self.release(endpoint)

    def _disconnect(self, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            if endpoint.connection is not None:
                self._close(endpoint.connection)

    def _eject(self, endpoint: Endpoint) -> None:
        now = endpoint.changed_at = self._clock()
        endpoint.failures += 1
        endpoint.on_trial = False
        # Without a limit, the power would overflow after a thousand failures.
        doublings = min(endpoint.failures - 2, _MOST_DOUBLINGS)
        doubled = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0**doublings)
        endpoint.probe_at = now if endpoint.failures == 1 else now + doubled
