"""Converts the server's errors to gRPC statuses; `scoring.proto` says what each means."""

from __future__ import annotations

import math
from dataclasses import dataclass

import grpc

from tipstaff.statuses import PUSHBACK_TRAILER
from tipstaff_server.errors import (
    DeadlineExpired,
    DeadlineUnreachable,
    EvaluatorNotFound,
    FeedbackNotStored,
    Forbidden,
    InferenceFailed,
    InvalidRequest,
    NotReady,
    Overloaded,
    RequestError,
    ShuttingDown,
    TrafficNotKept,
    Unauthenticated,
)
from tipstaff_server.printable import printable

REQUEST_ID_TRAILER = "tipstaff-request-id"

# Each error's status, and its reason in the refusals metric.
_STATUSES: dict[type[RequestError], tuple[grpc.StatusCode, str]] = {
    InvalidRequest: (grpc.StatusCode.INVALID_ARGUMENT, "invalid"),
    EvaluatorNotFound: (grpc.StatusCode.NOT_FOUND, "not_found"),
    Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated"),
    Forbidden: (grpc.StatusCode.PERMISSION_DENIED, "forbidden"),
    NotReady: (grpc.StatusCode.UNAVAILABLE, "not_ready"),
    Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, "queue_full"),
    DeadlineUnreachable: (grpc.StatusCode.FAILED_PRECONDITION, "deadline_unreachable"),
    DeadlineExpired: (grpc.StatusCode.DEADLINE_EXCEEDED, "deadline_expired"),
    ShuttingDown: (grpc.StatusCode.UNAVAILABLE, "shutting_down"),
    InferenceFailed: (grpc.StatusCode.INTERNAL, "inference_failed"),
    TrafficNotKept: (grpc.StatusCode.FAILED_PRECONDITION, "no_traffic"),
    FeedbackNotStored: (grpc.StatusCode.UNAVAILABLE, "feedback_not_stored"),
}


@dataclass(frozen=True, slots=True)
class CallStatus:
    """The reply to a request that gets no score.

    Attributes:
        code: The gRPC status code.
        message: One line.
        reason: The reason in the refusals metric.
        retry_after_ms: Milliseconds after which to try again; None if that makes no sense.
    """

    code: grpc.StatusCode
    message: str
    reason: str
    retry_after_ms: int | None = None

    def trailers(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """The trailing metadata of the reply."""
        trailers = ((REQUEST_ID_TRAILER, printable(request_id)),)
        if self.retry_after_ms is None:
            return trailers
        return (*trailers, (PUSHBACK_TRAILER, str(self.retry_after_ms)))


def status_of(error: RequestError) -> CallStatus:
    """The status for an error."""
    code, reason = _STATUSES.get(type(error), (grpc.StatusCode.INTERNAL, "internal"))
    if isinstance(error, Overloaded):
        after = max(1, math.ceil(error.retry_after * 1000))
        return CallStatus(code, str(error), error.reason, after)
    return CallStatus(code, str(error), reason)


def fault() -> CallStatus:
    """The status for an unexpected error, whose text stays in the server's log."""
    return CallStatus(grpc.StatusCode.INTERNAL, "the server failed; its log says how", "internal")
