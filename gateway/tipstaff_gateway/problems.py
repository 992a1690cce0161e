"""Why a request got no answer: gRPC's codes as statuses and problems of HTTP (RFC 9457).

Overload is 503 and a missed deadline 504, never 429: LLM gateways take these for an unreachable
guardrail, for which they have a setting.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from tipstaff.errors import DeadlineError, OverloadedError, ScoringError

log = logging.getLogger("tipstaff_gateway")

# By status: the title of its problems, and when there is one.
PROBLEMS = {
    400: ("Invalid request", "The request can't be scored as it stands; detail says why."),
    401: ("Not authenticated", "The server wants a token."),
    403: ("Not permitted", "The token doesn't allow it."),
    404: ("Not found", "There is no such evaluator, or no such version of it."),
    405: ("Method not allowed", "The address has other methods."),
    408: ("Request too slow", "The body was not complete before the deadline."),
    413: ("Request too large", "The body is too large."),
    415: ("Encoding not supported", "The body is compressed."),
    500: ("Internal error", "The gateway failed."),
    501: ("Not offered by the server", "The server is too old, or keeps no feedback."),
    502: ("The server failed", "The server failed."),
    503: (
        "Overloaded or unavailable",
        "The server is overloaded or not there; Retry-After says when to try again, if known.",
    ),
    504: ("Deadline missed", "The deadline was missed, or can't be met."),
}
_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 501,
    "RESOURCE_EXHAUSTED": 503,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "FAILED_PRECONDITION": 504,
}


@dataclass(slots=True)
class ProblemError(Exception):
    """A request got no answer.

    Attributes:
        status: The HTTP status.
        detail: What is wrong, in one line, without any text of an interaction.
        code: Name of the gRPC status code that says the same.
        request_id: The request's id, where it has one.
        retry_after: Seconds after which to try again; None if unknown.
    """

    status: int
    detail: str
    code: str = "INVALID_ARGUMENT"
    request_id: str = ""
    retry_after: float | None = None

    @property
    def title(self) -> str:
        """The kind of problem, in words."""
        title, _ = PROBLEMS.get(self.status, ("Not answered", ""))
        return title

    def to_json(self) -> dict[str, Any]:
        """The members of `application/problem+json`."""
        members = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return members | ({"request_id": self.request_id} if self.request_id else {})


def invalid(detail: str) -> ProblemError:
    """The problem of a request that can't be answered as it stands."""
    return ProblemError(400, detail)


def problem_of(error: Exception, door: str) -> ProblemError:
    """The problem for any error in the handling of a request.

    Args:
        error: The error. The log gets the kind of one that nobody expects, and not its text, which
            may hold a text of the request.
        door: The door's name, for the log.
    """
    if isinstance(error, ProblemError):
        return error
    if not isinstance(error, ScoringError):
        log.error("%s: internal error: %s", door, type(error).__name__)
        return ProblemError(500, "an internal error of the gateway", code="INTERNAL")
    status = _STATUSES.get(error.code, 502)
    if error.code == "RESOURCE_EXHAUSTED" and not isinstance(error, OverloadedError):
        status = 413  # For a message that is too large, gRPC has the code of overload.
    elif error.code == "FAILED_PRECONDITION" and not isinstance(error, DeadlineError):
        status = 501  # Feedback, for a server that keeps none.
    return ProblemError(
        status,
        error.describe(setting_of),
        code=error.code,
        request_id=error.request_id,
        retry_after=getattr(error, "retry_after", None),
    )


def setting_of(field: str) -> str:
    """The gateway's setting for one of its client's, as `target_tls` for `tls`."""
    return f"target_{field}"


def problem_response(problem: ProblemError) -> Response:
    """A problem as `application/problem+json`."""
    return Response(
        json.dumps(problem.to_json()),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=retry_headers(problem),
    )


def retry_headers(problem: ProblemError) -> dict[str, str]:
    """`Retry-After`, in whole seconds, where the server said when to try again."""
    if problem.retry_after is None:
        return {}
    return {"retry-after": str(math.ceil(problem.retry_after))}
