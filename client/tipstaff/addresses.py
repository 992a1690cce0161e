"""From a target to the addresses of its servers."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

# Seconds between look-ups of a name while calls are made, and while calls fail.
LOOKUP_SECONDS = 10.0
FAILING_LOOKUP_SECONDS = 1.0

_NAME_AND_PORT = re.compile(r"(?:dns:(?:///)?)?([^\s:/@\[\],]+):([0-9]{1,5})")

# An IPv4 address has nothing else, and a name has something else.
_DIGITS_AND_DOTS = "0123456789."

# gRPC reads the path of a socket as a part of a URI. The first sign begins the others' escapes.
_ESCAPED_IN_PATHS = (("%", "%25"), ("#", "%23"), ("?", "%3F"))


class Addresses:
    """The addresses of a target, as targets of gRPC that each stand for one server.

    `ipv4:` and `ipv6:` may list several. A name is looked up again and again, each time in a thread
    of its own, since the system may take seconds for it. Anything else is one address, which gRPC
    understands as it is: an IP address, a unix socket, `localhost` (one machine, of whose addresses
    gRPC finds the one that listens), `xds:`, or a name with a DNS server of its own.

    Args:
        target: A valid target.
        by_grpc: Leave names to gRPC, as it must be if a proxy looks them up.
        clock: The time in seconds.
    """

    def __init__(
        self, target: str, *, by_grpc: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._host, self._port = ("", 0) if by_grpc else _name_and_port(target)
        self._lookup: Future[None] | None = None
        self._looked_up_at = float("-inf")
        self.current: tuple[str, ...] = () if self._host else listed(target)

    @property
    def authority(self) -> str:
        """The name that servers know themselves by; empty if the target has none."""
        return f"{self._host}:{self._port}" if self._host else ""

    def refresh(self, *, failing: bool = False) -> Future[None] | None:
        """Looks the name up again if it is time to.

        Args:
            failing: Whether an address didn't answer, so that it may have moved.

        Returns:
            The look-up to wait for if no address is known yet; it fails with an OSError.
        """
        if not self._host:
            return None
        with self._lock:
            age = self._clock() - self._looked_up_at
            idle = self._lookup is None or self._lookup.done()
            soon = failing or not self.current
            if idle and age >= (FAILING_LOOKUP_SECONDS if soon else LOOKUP_SECONDS):
                self._lookup = Future()
                thread = threading.Thread(target=self._look_up, args=(self._lookup,), daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    # No more threads: calls go on at the addresses that are known.
                    self._looked_up_at = self._clock()
                    self._lookup.set_exception(OSError(str(error)))
            return None if self.current else self._lookup

    def _look_up(self, lookup: Future[None]) -> None:
        try:
            addresses = look_up(self._host, self._port)
        except Exception as error:
            # Whatever it is: while this look-up has no end, there is no other.
            self._looked_up_at = self._clock()
            lookup.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
        else:
            self._looked_up_at = self._clock()
            # In another order they are the same addresses.
            if set(addresses) != set(self.current):
                self.current = addresses
            lookup.set_result(None)


def look_up(host: str, port: int) -> tuple[str, ...]:
    """The addresses of a name as the system knows them, as targets of gRPC.

    Raises:
        OSError: The name has no address, or the system can't look it up now.
    """
    try:
        entries = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except UnicodeError as error:
        raise OSError(f"{host!r} is not a valid name") from error
    hosts = dict.fromkeys((family, str(address[0])) for family, *_, address in entries)
    return tuple(_address(family, ip, port) for family, ip in hosts)


def _address(family: socket.AddressFamily, ip: str, port: int) -> str:
    if family == socket.AF_INET:
        return f"ipv4:{ip}:{port}"
    # A scope, as in fe80::1%eth0, is escaped in a URI.
    return f"ipv6:[{ip.replace('%', '%25')}]:{port}"


def readable(address: str) -> str:
    """An address as people know it: `10.0.0.7:50051` for `ipv4:10.0.0.7:50051`."""
    if address.startswith("unix:"):
        for sign, escaped in reversed(_ESCAPED_IN_PATHS):
            address = address.replace(escaped, sign)
        return address
    return address.removeprefix("ipv4:").removeprefix("ipv6:")


def _name_and_port(target: str) -> tuple[str, int]:
    """The name to look up and its port; an empty name if there is nothing to look up."""
    match = _NAME_AND_PORT.fullmatch(target)
    if not match or match[1] == "localhost" or not match[1].strip(_DIGITS_AND_DOTS):
        return "", 0
    return match[1], int(match[2])


def listed(target: str) -> tuple[str, ...]:
    """The addresses that a target lists after `ipv4:` or `ipv6:`; any other target is one."""
    scheme, _, rest = target.partition(":")
    if scheme == "unix":
        for sign, escaped in _ESCAPED_IN_PATHS:
            rest = rest.replace(sign, escaped)
        return (f"unix:{rest}",)
    if scheme not in ("ipv4", "ipv6"):
        return (target,)
    parts = (part.strip() for part in rest.lstrip("/").split(","))
    return tuple(dict.fromkeys(f"{scheme}:{part}" for part in parts if part)) or (target,)
