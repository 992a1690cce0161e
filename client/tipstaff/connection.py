"""The connection to one address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from tipstaff.v1.scoring_pb2_grpc import ScoringServiceStub

# How long an address that was ejected may take to answer a health check, in seconds.
PROBE_SECONDS = 1.0

# The standard health check, by the name that `Connection.method` knows it by.
HEALTH = "Check"
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"
# A HealthCheckResponse whose status is SERVING.
_SERVING = b"\x08\x01"
_NO_REPLY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


@dataclass(frozen=True, slots=True)
class Connection:
    """A channel, blocking or asyncio, and what is called on it.

    Attributes:
        channel: The channel.
        stub: The service's RPCs.
        check_health: The standard health check, in bytes: the client doesn't depend on its proto.
    """

    channel: Any
    stub: ScoringServiceStub
    check_health: Any

    @classmethod
    def over(cls, channel: Any) -> Connection:
        """The connection over a channel."""
        stub = ScoringServiceStub(channel)  # type: ignore[no-untyped-call]
        return cls(channel, stub, channel.unary_unary(_HEALTH_CHECK))

    def method(self, name: str) -> Any:
        """The RPC of a name."""
        return self.check_health if name == HEALTH else getattr(self.stub, name)


def is_serving(code: grpc.StatusCode, response: bytes = b"") -> bool:
    """Whether a health check's end says that the server may get calls."""
    if code is grpc.StatusCode.OK:
        return response.startswith(_SERVING)
    # A server without health checks, or with one that this client may not use, is alive.
    return code not in _NO_REPLY
