"""How a client connects: addresses, reconnecting, retrying, liveness, message sizes."""

from __future__ import annotations

import json
import re

_MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/@\[\]]+):([0-9]{1,5})")
_RESOLVED_BY_GRPC = ("unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:", "xds:")

_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "tipstaff.v1.ScoringService"}],
            # Up to four tries over some 0.2 s, all within the call's own deadline. No `timeout`
            # here: Python's gRPC lets it fire about a second early (grpc#34547).
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.025s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

# In seconds. gRPC treats much longer timeouts as if they had passed already.
LONGEST_TIMEOUT = 86400.0


def channel_options() -> list[tuple[str, int | str]]:
    """Options of the channel between a client and its server.

    A call doesn't wait for a server to appear (`wait_for_ready` is off). Without a server it fails
    after its retries, long before most deadlines, with an error that says so instead of a missed
    deadline. A server that restarts is found within about half a second of being ready.
    """
    return [
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
        # Despite its name, this is also how long one attempt to connect may take; 20 s by default.
        ("grpc.min_reconnect_backoff_ms", 2_000),
        # A restarted pod may have a new address; 30 s by default.
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
        # Pings go out only during calls, so no server mistakes them for flooding. The timeout also
        # limits how long sent bytes may stay unacknowledged: a connection whose other end vanished
        # is given up after it.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        # Larger requests aren't retried. The default is 256 KiB, less than a batch may have.
        ("grpc.per_rpc_retry_buffer_size", _MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ]


def checked_target(target: str) -> str:
    """Returns a valid target: `host:port`, `[::1]:port`, `unix:/path` or a gRPC name.

    Raises:
        ValueError: The target is invalid; the message says what a target looks like.
    """
    if target.startswith(_RESOLVED_BY_GRPC):
        return target
    match = _HOST_AND_PORT.fullmatch(target)
    if match and 0 < int(match.group(2)) < 65536:
        return target
    raise ValueError(
        f"{target!r} is not a server's address: give host:port, as in localhost:50051, "
        "or unix:/path/to.sock"
    )
