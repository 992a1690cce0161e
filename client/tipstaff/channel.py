"""How a client connects: targets, reconnecting, liveness, message sizes."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping, Sequence

from tipstaff.addresses import listed

# As a mapping, or in gRPC's own form.
ChannelOptions = Mapping[str, int | str] | Sequence[tuple[str, int | str]]

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/@\[\]]+):([0-9]{1,5})")
_RESOLVED_BY_GRPC = ("unix-abstract:", "dns:", "xds:")
_FAMILIES = {"ipv4:": socket.AF_INET, "ipv6:": socket.AF_INET6}
# `sun_path` of Linux, without its closing zero.
_MOST_PATH_BYTES = 107

# In seconds. gRPC treats much longer timeouts as if they had passed already.
LONGEST_TIMEOUT = 86400.0


# A server closes connections that ping more often.
SHORTEST_KEEPALIVE = 10.0

HTTP_PROXY = "grpc.enable_http_proxy"


def channel_options(
    options: Mapping[str, int | str],
    *,
    keepalive: float,
    authority: str = "",
    spreads: bool = False,
) -> dict[str, int | str]:
    """Options of the channel between a client and one address of its server.

    A call doesn't wait for a server to appear (`wait_for_ready` is off). Without a server it fails
    after its retries, long before most deadlines, with an error that says so instead of a missed
    deadline. A server that restarts is found within about half a second of being ready.

    Args:
        options: The user's options, which override these.
        keepalive: Seconds between pings during a call.
        authority: The name that the server knows itself by, if the address doesn't say.
        spreads: Whether the channel itself is to spread calls, over addresses that gRPC looks up.
    """
    return {
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 500,
        # Despite its name, this is also how long one attempt to connect may take; 20 s by default.
        "grpc.min_reconnect_backoff_ms": 2_000,
        # Where gRPC looks up a name: a restarted pod may have a new address; 30 s by default.
        "grpc.dns_min_time_between_resolutions_ms": 1_000,
        # Pings go out only during calls. The timeout also limits how long sent bytes may stay
        # unacknowledged: a connection whose other end vanished is given up after it.
        "grpc.keepalive_time_ms": round(keepalive * 1000),
        "grpc.keepalive_timeout_ms": 5_000,
        "grpc.max_receive_message_length": _MAX_MESSAGE_BYTES,
        # `http_proxy` in an application's environment is meant for its other traffic. It would
        # capture even calls to localhost.
        HTTP_PROXY: 0,
        **({"grpc.default_authority": authority} if authority else {}),
        **({"grpc.lb_policy_name": "round_robin"} if spreads else {}),
        **options,
    }


def checked_target(target: str) -> str:
    """Returns a valid target: `host:port`, `[::1]:port`, `unix:/path`, a list or a gRPC name.

    Raises:
        ValueError: The target is invalid; the message says what a target looks like.
    """
    if target.startswith(tuple(_FAMILIES)):
        # Left to gRPC, an address that it can't read would fail its share of the calls.
        for address in listed(target):
            if not _is_ip_and_port(address):
                raise ValueError(
                    f"{target!r} is not a list of servers: {address!r} has no IP address and port, "
                    "as in ipv4:10.0.0.7:50051,10.0.0.8:50051 or ipv6:[::1]:50051"
                )
        return target
    if target.startswith("unix:"):
        size = len(os.fsencode(target.removeprefix("unix:").removeprefix("//")))
        if not 0 < size <= _MOST_PATH_BYTES:
            raise ValueError(
                f"{target!r} is not a server's address: the path of a socket has 1 to "
                f"{_MOST_PATH_BYTES} bytes, and this one {size}"
            )
        return target
    if target.startswith(_RESOLVED_BY_GRPC):
        port = target.rpartition(":")[2]
        # gRPC would take a larger port for another one.
        if not target.startswith("dns:") or not port.isdigit() or _is_port(port):
            return target
    elif (match := _HOST_AND_PORT.fullmatch(target)) and _is_port(match[2]):
        return target
    raise ValueError(
        f"{target!r} is not a server's address: give host:port, as in localhost:50051, "
        "or unix:/path/to.sock"
    )


def _is_ip_and_port(address: str) -> bool:
    """Whether `ipv4:` or `ipv6:` is followed by an IP address of that kind and a port."""
    scheme, rest = address[:5], address[5:]
    # gRPC reads it as a URI, in which brackets may be escaped.
    host, _, port = rest.upper().replace("%5B", "[").replace("%5D", "]").rpartition(":")
    if scheme == "ipv6:":
        if not (host.startswith("[") and host.endswith("]")):
            return False
        host = host[1:-1].partition("%")[0]  # without a scope, as in fe80::1%eth0
    try:
        socket.inet_pton(_FAMILIES[scheme], host)
    except (OSError, ValueError):
        return False
    return _is_port(port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
