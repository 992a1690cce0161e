"""A limit on attempts to guess the token."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Enough for people who mistype.
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
    """Counts attempts to sign in by network address, and makes guessers wait.

    After a few attempts, waits double from one second to five minutes; an hour without an attempt
    resets them. While an address waits, the right token is refused too, or guessing could go on.

    Args:
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def take(self, address: str) -> float:
        """Counts an attempt before it is checked.

        Args:
            address: The IP address that it comes from.

        Returns:
            0 if the attempt is allowed, else the seconds to wait.
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
            # Bounded, so that the power stays small.
            beyond = min(tries.count - _FREE, 20)
            tries.until = moment + (min(2.0**beyond, _LONGEST_SECONDS) if beyond >= 0 else 0)
            return 0.0

    def succeeded(self, address: str) -> None:
        """Forgets an address's attempts, after it gave the right token."""
        with self._lock:
            self._tries.pop(_network(address), None)


def _network(address: str) -> str:
    """The network to count attempts by: an IPv4 address, or a 64-bit network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:80]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
