"""Converts gRPC statuses to the client's errors."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from tipstaff.errors import (
    AccessError,
    DeadlineError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    ScoringError,
    ServerFaultError,
    UnavailableError,
)
from tipstaff.v1 import scoring_pb2 as pb

PUSHBACK_TRAILER = "grpc-retry-pushback-ms"

# gRPC itself refuses such a request, before the server's code sees it. The status is that of
# overload, but the size is the caller's fault: as overload, `on_failure="open"` would let it pass.
_TOO_LARGE = "message larger than max"
# What gRPC says of a connection without a handshake. The other side rarely gives a reason.
_NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")
_NOT_TRUSTED = ("Tls handshake failed", "Verification Check failed", "CERTIFICATE_VERIFY_FAILED")
_NOT_CONNECTED = "failed to connect"
_CLOSED = ("Socket closed", "Failed parsing HTTP/2", "Connection reset", "Broken pipe")
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Status:
    """Why a call, or one item of a batch, has no answer.

    Attributes:
        code: Name of the gRPC status code.
        details: The explanation of the server, or of gRPC on this side.
        retry_after: Seconds after which to try again; None when the server didn't say.
        may_retry: Whether the server left it open to try again.
    """

    code: str
    details: str
    retry_after: float | None = None
    may_retry: bool = True

    @classmethod
    def of_call(cls, error: grpc.RpcError) -> Status:
        """The status that a call ended with, blocking or asyncio."""
        pushback = dict(error.trailing_metadata() or ()).get(PUSHBACK_TRAILER)
        milliseconds = _whole_number(pushback)
        # In gRPC, a negative value means not to retry.
        may_retry = milliseconds is None or milliseconds >= 0
        retry_after = milliseconds / 1000 if milliseconds is not None and may_retry else None
        return cls(error.code().name, _one_line(error.details()), retry_after, may_retry)

    @classmethod
    def of_item(cls, error: pb.ItemError) -> Status:
        """The status of one item of a batch."""
        waits = error.HasField("retry_after_ms")
        retry_after = error.retry_after_ms / 1000 if waits else None
        return cls(_NAMES.get(error.code, "UNKNOWN"), _one_line(error.message), retry_after)


def to_error(
    status: Status,
    *,
    target: str,
    timeout: float,
    request_id: str,
    method: str = "Score",
    secure: bool = False,
) -> ScoringError:
    """The error for a status of an RPC; says what to do if that isn't obvious.

    Args:
        status: The status.
        target: The client's target.
        timeout: Seconds that the call had.
        request_id: The request's id; empty for a batch.
        method: Name of the RPC.
        secure: Whether the client speaks TLS.
    """
    code, details = status.code, status.details
    match code:
        case "INVALID_ARGUMENT":
            return InvalidRequestError(details, code=code, request_id=request_id)
        case "NOT_FOUND":
            return NotFoundError(details, code=code, request_id=request_id)
        case "UNIMPLEMENTED":
            message = f"no Tipstaff server, or too old a one, at {target} ({details})"
            return NotFoundError(message, code=code, request_id=request_id)
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            message = f"{target} does not accept the credentials: {details}"
            return AccessError(message, code=code, request_id=request_id)
        case "RESOURCE_EXHAUSTED" if _TOO_LARGE in details:
            message = f"the request is larger than {target} takes, send less at a time ({details})"
            return InvalidRequestError(message, code=code, request_id=request_id)
        case "RESOURCE_EXHAUSTED":
            return OverloadedError(
                f"{target} is overloaded: {details}",
                code=code,
                request_id=request_id,
                retry_after=status.retry_after,
            )
        case "DEADLINE_EXCEEDED":
            message = f"no answer from {target} within {timeout:g} s ({details})"
            return DeadlineError(message, code=code, request_id=request_id)
        case "FAILED_PRECONDITION" if method == "SubmitFeedback":
            # The server keeps no feedback.
            return NotFoundError(f"{target}: {details}", code=code, request_id=request_id)
        case "FAILED_PRECONDITION":
            message = f"{target} can't answer within {timeout:g} s: {details}"
            return DeadlineError(message, code=code, request_id=request_id)
        case "UNAVAILABLE":
            why, remedy = _why_unavailable(details, secure=secure)
            message = f"no server ready at {target}{why} ({details})"
            error = UnavailableError(message, code=code, request_id=request_id)
            error.remedy = remedy
            return error
        case _:
            message = f"{target} failed with {code}: {details}"
            return ServerFaultError(message, code=code, request_id=request_id)


def _why_unavailable(details: str, *, secure: bool) -> tuple[str, str]:
    """What the details of UNAVAILABLE tell of a server, and a remedy, which may be empty."""
    if secure and any(sign in details for sign in _NO_TLS_THERE):
        return (
            ": this client speaks TLS, and what listens there doesn't",
            "leave {tls} out, or start the server with a certificate and its key",
        )
    if secure and any(sign in details for sign in _NOT_TRUSTED):
        return (
            ": this client doesn't accept its certificate",
            "check what {tls} trusts: the authority of the certificate, and the name in it",
        )
    # Not of a connection that was there: then a server has stopped or failed.
    if _NOT_CONNECTED in details and any(sign in details for sign in _CLOSED):
        return (
            (
                ": this client speaks TLS, and the connection was closed; the server may want a "
                "certificate of the client's, or speak no TLS",
                "give a certificate and its key with {tls}, or leave {tls} out",
            )
            if secure
            else (
                ": this client speaks no TLS, and the connection was closed; the server may speak "
                "TLS, or what listens there may be no Tipstaff server",
                "set {tls} if the server speaks TLS",
            )
        )
    return ", start one with `tipstaff serve`", ""


def _one_line(details: str | None) -> str:
    return " ".join((details or "no details").split())


def _whole_number(text: str | bytes | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None
