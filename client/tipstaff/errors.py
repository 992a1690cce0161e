"""Errors of the client, and the root of all of Tipstaff's.

    TipstaffError                 all that Tipstaff raises on purpose; str() is one line for people
    ├── UsageError                a command's words are off, or an extra is not installed
    └── ScoringError              a request got no score; has .code and .request_id
        ├── InvalidRequestError   INVALID_ARGUMENT: the message names the field
        ├── NotFoundError         NOT_FOUND, UNIMPLEMENTED: no such evaluator, version or service
        ├── AccessError           UNAUTHENTICATED, PERMISSION_DENIED: the credentials won't do
        └── NoAnswerError         the server could not answer: the client's `on_failure` decides
            ├── OverloadedError   RESOURCE_EXHAUSTED: try again after .retry_after seconds
            ├── DeadlineError     DEADLINE_EXCEEDED, or FAILED_PRECONDITION: could never be met
            ├── UnavailableError  UNAVAILABLE: no server there, or it is starting or stopping
            └── ServerFaultError  any other status: the server's own fault

The server's tree (`tipstaff_server.errors`) and the trainer's (`tipstaff_trainer.errors`) grow from
TipstaffError too.
"""

from __future__ import annotations


class TipstaffError(Exception):
    """Everything Tipstaff raises on purpose."""


class UsageError(TipstaffError):
    """A command's words are off, or an extra is not installed."""


class ScoringError(TipstaffError):
    """A request got no score.

    Attributes:
        code: Name of the gRPC status code, as in `NOT_FOUND`.
        request_id: Id of the request; empty when the error is that of a whole batch.
    """

    # The code has a default so that an error can be copied and cross process borders: Python
    # rebuilds an exception from its message alone and restores the attributes afterwards.
    def __init__(self, message: str, *, code: str = "UNKNOWN", request_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class InvalidRequestError(ScoringError):
    """The request can't be scored as it stands; the message names the field."""


class NotFoundError(ScoringError):
    """No such evaluator, or no such version of it, or no scoring service at that address."""


class AccessError(ScoringError):
    """The server wants other credentials."""


class NoAnswerError(ScoringError):
    """The server could not answer; `on_failure` decides what the caller gets."""


class OverloadedError(NoAnswerError):
    """The server has more work than it can do in time.

    Attributes:
        retry_after: Seconds after which to try again, or None when the server didn't say.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "RESOURCE_EXHAUSTED",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, request_id=request_id)
        self.retry_after = retry_after


class DeadlineError(NoAnswerError):
    """The deadline passed, or could not have been met even by an idle server."""


class UnavailableError(NoAnswerError):
    """No server there, or it is starting or stopping."""


class ServerFaultError(NoAnswerError):
    """The server failed in a way that is not the caller's doing."""
