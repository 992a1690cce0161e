"""A limit on attempts to guess the token."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

# Attempts without a wait: enough for people who mistype.
_FREE = 5
_LONGEST_SECONDS = 300.0
_FORGOTTEN_SECONDS = 3600.0
_MOST_ADDRESSES = 10_000


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
        # How many attempts, and when the last one was allowed.
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def take(self, address: str) -> float:
        """Counts an attempt before it is checked.

        Args:
            address: The IP address that it comes from.

        Returns:
            0 if the attempt is allowed, else the seconds to wait.
        """
        moment, key = self._clock(), _network(address)
        with self._lock:
            count, latest = self._tries.pop(key, (0, moment))
            if moment - latest > _FORGOTTEN_SECONDS:
                count = 0
            seconds = latest + _pause(count) - moment
            self._tries[key] = (count, latest) if seconds > 0 else (count + 1, moment)
            if len(self._tries) > _MOST_ADDRESSES:
                self._tries.popitem(last=False)
            return max(seconds, 0.0)

    def succeeded(self, address: str) -> None:
        """Forgets an address's attempts, after it gave the right token."""
        with self._lock:
            self._tries.pop(_network(address), None)


def _pause(count: int) -> float:
    """How long to wait after some attempts, in seconds."""
    # Bounded, so that the power stays small.
    return min(2.0 ** min(count - _FREE, 20), _LONGEST_SECONDS) if count >= _FREE else 0.0


def _network(address: str) -> str:
    """The network whose attempts count together: an IPv4 address, or 64 bits of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:80]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
