"""How often somebody may guess the token."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# As many as people need who mistype.
_FREE = 5
_LONGEST_SECONDS = 300.0
_FORGOTTEN_SECONDS = 3600.0
_MOST_ADDRESSES = 10_000


@dataclass(slots=True)
class _Tries:
    count: int = 0
    latest: float = 0.0
    until: float = 0.0


class Attempts:
    """Counts attempts to sign in by address; each past the first few makes the next wait longer.

    Waits double from one second to five minutes, and are forgotten after an hour without an
    attempt. While an address waits the right token isn't taken either, or guessing would go on.

    Args:
        clock: Seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def take(self, address: str) -> float:
        """Counts an attempt that is about to be made, before anybody knows how it goes.

        Args:
            address: Where it comes from, as an IP address.

        Returns:
            0 when it may be made; else how many seconds to wait first.
        """
        moment, key = self._clock(), _network(address)
        with self._lock:
            tries = self._tries.pop(key, None)
            if tries is None or moment - tries.latest > _FORGOTTEN_SECONDS:
                tries = _Tries()
            self._tries[key] = tries
            if len(self._tries) > _MOST_ADDRESSES:
                self._tries.popitem(last=False)
            if moment < tries.until:
                return tries.until - moment
            tries.count, tries.latest = tries.count + 1, moment
            # Bounded before it is raised to a power: numbers grow without end here.
            beyond = min(tries.count - _FREE, 20)
            tries.until = moment + (min(2.0**beyond, _LONGEST_SECONDS) if beyond >= 0 else 0)
            return 0.0

    def succeeded(self, address: str) -> None:
        """Forgets an address's attempts: it had the token."""
        with self._lock:
            self._tries.pop(_network(address), None)


def _network(address: str) -> str:
    """What one person has of addresses: one, or of IPv6 a whole network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:80]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
