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
from dataclasses import dataclass

from tipstaff.connection import Connection

# Between probes of an address: none before the first, then doubling from the first delay.
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 5.0
_MOST_DOUBLINGS = 10

# An attempt is not thought lost sooner than this, or than twice the slowest of recent replies, in
# seconds; or half of the call's time if that is less.
_PATIENCE = 1.0
_SLOWEST_DECAY = 0.99


@dataclass(eq=False, slots=True)
class Endpoint:
    """One address of a server, and how it does.

    Attributes:
        address: A target of gRPC for this address alone.
        connection: What the client opened for it; None before the first attempt.
        outstanding: Number of attempts that run.
        replied_at: When it last answered anything.
        failures: Attempts and probes that failed since it last answered a call.
        changed_at: When it was last ejected, put on trial or restored. An attempt from before says
            nothing new.
        on_trial: Whether it answered a probe and may get one call.
        probing: Whether a probe runs.
        probe_at: When the next probe is due.
        retired: Whether the target no longer has this address.
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

    @property
    def rank(self) -> int:
        """How far from rotation it is, for when there is no better one."""
        return 0 if self.in_rotation else self.failures


class Pool:
    """The addresses of a target. May be used from any thread.

    Args:
        clock: The time in seconds.
        on_change: Called with an address and whether it is in rotation again, when that changes.
        close: Closes the connection of an address that the target no longer has.
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
        self._slowest = 0.0

    @property
    def alone(self) -> bool:
        """Whether there is one address only: then there is no choice, and nothing is ejected."""
        return len(self._endpoints) == 1

    def update(self, addresses: tuple[str, ...]) -> None:
        """Takes over the target's present addresses; those that stay keep their state."""
        if addresses is self._addresses:
            return
        with self._lock:
            self._addresses = addresses
            known = {endpoint.address: endpoint for endpoint in self._endpoints}
            self._endpoints = [
                known.pop(each) if each in known else Endpoint(each) for each in addresses
            ]
            for endpoint in known.values():
                endpoint.retired = True
            idle = [endpoint for endpoint in known.values() if not endpoint.outstanding]
        for endpoint in idle:
            self._disconnect(endpoint)

    def renew(self) -> None:
        """Has each address connected to anew: attempts under way end on their own connection."""
        with self._lock:
            old, self._endpoints = self._endpoints, [Endpoint(each) for each in self._addresses]
            for endpoint in old:
                endpoint.retired = True
            idle = [endpoint for endpoint in old if not endpoint.outstanding]
        for endpoint in idle:
            self._disconnect(endpoint)

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
        """Whether an endpoint beside these is in rotation."""
        with self._lock:
            return any(each.in_rotation and each not in than for each in self._endpoints)

    def patience(self, timeout: float) -> float:
        """Seconds of silence after which an attempt is thought lost, for a call's timeout."""
        return min(timeout / 2, max(_PATIENCE, 2 * self._slowest))

    def close(self) -> None:
        """Closes all connections."""
        for endpoint in self._endpoints:
            self._disconnect(endpoint)

    def release(self, endpoint: Endpoint) -> None:
        """Ends an attempt."""
        with self._lock:
            endpoint.outstanding -= 1
            closes = endpoint.retired and not endpoint.outstanding
        if closes:
            self._disconnect(endpoint)

    def replied(self, endpoint: Endpoint, started: float) -> None:
        """Notes that an attempt of that start was answered; an ejected address is restored."""
        with self._lock:
            now = endpoint.replied_at = self._clock()
            self._slowest = max(now - started, _SLOWEST_DECAY * self._slowest)
            restored = endpoint.failures > 0
            if restored:
                endpoint.failures = 0
                endpoint.on_trial = False
                endpoint.changed_at = now
        if restored:
            self._on_change(endpoint.address, True)

    def failed(self, endpoint: Endpoint, started: float) -> None:
        """Notes that an attempt of that start was not answered, and ejects the address."""
        with self._lock:
            if self.alone or started < endpoint.changed_at:
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

    def _disconnect(self, endpoint: Endpoint) -> None:
        if endpoint.connection is not None:
            self._close(endpoint.connection)

    def _eject(self, endpoint: Endpoint) -> None:
        now = endpoint.changed_at = self._clock()
        endpoint.failures += 1
        endpoint.on_trial = False
        # After a thousand failures the power itself would be too large a number.
        doublings = min(endpoint.failures - 2, _MOST_DOUBLINGS)
        doubled = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0**doublings)
        endpoint.probe_at = now if endpoint.failures == 1 else now + doubled
