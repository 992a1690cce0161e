"""Errors of the client, and the root of all of Tipstaff's.

    TipstaffError                 all that Tipstaff raises on purpose; str() is one line for people
    ├── UsageError                a value is off, or an extra is not installed
    │   └── AccessFileError       access_files: a file of secrets or of TLS can't be used
    └── ScoringError              a request got no score; has .code and .request_id
        ├── InvalidRequestError   INVALID_ARGUMENT: the message names the field
        ├── NotFoundError         NOT_FOUND, UNIMPLEMENTED: no such evaluator, version or service
        ├── AccessError           UNAUTHENTICATED, PERMISSION_DENIED: credentials not accepted
        └── NoAnswerError         the server could not answer: the client's `on_failure` decides
            ├── OverloadedError   RESOURCE_EXHAUSTED: try again after .retry_after seconds
            ├── DeadlineError     DEADLINE_EXCEEDED, or FAILED_PRECONDITION: could never be met
            ├── UnavailableError  UNAVAILABLE: no server there, or it is starting or stopping
            └── ServerFaultError  any other status: the server's own fault

The server's errors (`tipstaff_server.errors`) and the trainer's (`tipstaff_trainer.errors`) derive
from TipstaffError too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_FIELD = re.compile(r"\{(\w+)\}")


class TipstaffError(Exception):
    """Everything Tipstaff raises on purpose.

    What is wrong, where and what to do are data, so that each front end can say it in its own
    words: a command names a flag where a page names a form's field and Python names an argument.

    Attributes:
        message: What is wrong, in one line.
        field: The request's field or the setting at fault; empty when there is no single one.
        value: What was given for the field, as text; may be empty.
        remedy: What to do about it; may be empty. A name in braces, as in `{out}`, is a field.
    """

    def __init__(
        self, message: str = "", *, field: str = "", value: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.remedy = remedy

    def __str__(self) -> str:
        return self.describe()

    def describe(self, name_of: Callable[[str], str] = str) -> str:
        """The error in one line.

        Args:
            name_of: Gives the name that the reader knows a field by.
        """
        return describe(
            self.message, field=self.field, value=self.value, remedy=self.remedy, name_of=name_of
        )


def describe(
    message: str,
    *,
    field: str = "",
    value: str = "",
    remedy: str = "",
    name_of: Callable[[str], str] = str,
) -> str:
    """One line from a message and its parts; see `TipstaffError` for what each holds."""
    if field:
        message = f"{name_of(field)}{f' {value}' if value else ''}: {message}"
    if remedy:
        message += "; " + _FIELD.sub(lambda match: name_of(match[1]), remedy)
    return message


class UsageError(TipstaffError):
    """A value is off, or an extra is not installed."""


class AccessFileError(UsageError):
    """A file of callers, of secrets or of TLS can't be used."""


class ScoringError(TipstaffError):
    """A request got no score.

    Attributes:
        code: Name of the gRPC status code, as in `NOT_FOUND`.
        request_id: Id of the request; empty for the error of a whole batch.
    """

    # The code has a default so that an error can be copied and cross process borders: Python
    # rebuilds an exception from its message alone, and restores the attributes afterwards.
    def __init__(self, message: str, *, code: str = "UNKNOWN", request_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class InvalidRequestError(ScoringError):
    """The request can't be scored as it stands; the message names the field."""


class NotFoundError(ScoringError):
    """No such evaluator, or no such version of it, or no scoring service at that address."""


class AccessError(ScoringError):
    """The server does not accept the credentials."""


class NoAnswerError(ScoringError):
    """The server could not answer; `on_failure` decides what the caller gets."""


class OverloadedError(NoAnswerError):
    """The server has more work than it can do in time.

    Attributes:
        retry_after: Seconds after which to try again; None if the server didn't say.
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
    """The server failed, and not because of the request."""
