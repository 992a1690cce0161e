"""The connection to one address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from tipstaff.v1.scoring_pb2_grpc import ScoringServiceStub

# Seconds that an ejected address has to answer a health check.
PROBE_SECONDS = 1.0

# The name of the standard health check for `Connection.method`.
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
    """A channel, blocking or asyncio, and its RPCs.

    Attributes:
        channel: The channel.
        stub: The service's RPCs.
        check_health: The standard health check. It takes and returns bytes, as the client doesn't
            depend on its proto.
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
        """The RPC with this name."""
        return self.check_health if name == HEALTH else getattr(self.stub, name)


def is_serving(code: grpc.StatusCode, response: bytes = b"") -> bool:
    """Whether a health check, by its status and reply, found a server that may get calls."""
    if code is grpc.StatusCode.OK:
        return response.startswith(_SERVING)
    # A server is also alive if it has no health check, or doesn't allow this client to use it.
    return code not in _NO_REPLY
