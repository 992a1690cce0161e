"""One request's deadline, caller and body."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from tipstaff.channel import LONGEST_TIMEOUT
from tipstaff_gateway.problems import ProblemError, invalid

TIMEOUT_HEADER = "tipstaff-timeout-ms"
CALLER_HEADER = "tipstaff-caller"
# The server decides about rights and fairness, so it needs to know who calls.
FORWARDED = ("authorization", CALLER_HEADER, "traceparent", "tracestate")


@dataclass(slots=True)
class RequestContext:
    """One request.

    Attributes:
        timeout: Seconds from its start to its deadline.
        metadata: What is forwarded to the server about the caller.
        started: When it began, by `time.monotonic`.
        body: Its body.
    """

    timeout: float
    metadata: tuple[tuple[str, str], ...] = ()
    started: float = field(default_factory=time.monotonic)
    body: bytes = b""

    def remaining(self) -> float:
        """Seconds until the deadline.

        Raises:
            ProblemError: It has passed.
        """
        seconds = self.started + self.timeout - time.monotonic()
        if seconds <= 0:
            detail = f"the deadline of {self.timeout:g} s passed before the server was asked"
            raise ProblemError(504, detail, code="DEADLINE_EXCEEDED")
        return seconds

    @classmethod
    def of(cls, headers: Mapping[str, str], *, timeout: float) -> RequestContext:
        """The context of a request with these headers, whose names are in small letters.

        Args:
            headers: The request's headers.
            timeout: Seconds, if no header sets the deadline.

        Raises:
            ProblemError: A header is invalid.
        """
        return cls(_timeout(headers.get(TIMEOUT_HEADER), timeout), caller_metadata(headers))


def caller_metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers that are forwarded.

    Raises:
        ProblemError: A value can't be sent by gRPC.
    """
    found = [(name, headers[name]) for name in FORWARDED if headers.get(name)]
    for name, value in found:
        if not (value.isascii() and value.isprintable()):
            raise invalid(f"header {name}: only printable ASCII characters can be forwarded")
    return tuple(found)


def _timeout(text: str | None, default: float) -> float:
    if text is None:
        return default
    milliseconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 0 < milliseconds <= LONGEST_TIMEOUT * 1000:
        raise invalid(f"header {TIMEOUT_HEADER}: give whole milliseconds, from 1 to a day")
    return milliseconds / 1000


async def read_body(request: Request, ctx: RequestContext, limit: int) -> bytes:
    """The body of a request.

    Raises:
        ProblemError: It is too large, compressed, or not complete before the deadline.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise ProblemError(415, f"content-encoding {encoding[:40]!r}: send the body as it is")
    length = request.headers.get("content-length", "")
    if length.isdigit() and len(length) < 20 and int(length) > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(ctx.remaining()):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        detail = f"the body was not here within {ctx.timeout:g} s"
        raise ProblemError(408, detail, code="DEADLINE_EXCEEDED") from None
    return b"".join(chunks)


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        ProblemError: It is not JSON, not an object, or names a member twice.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else _why(error)
        raise invalid(f"the body is not JSON: {why}") from None
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    return value


def too_large(limit: int) -> ProblemError:
    """The problem of a body that is larger than the limit."""
    return ProblemError(413, f"the body is larger than {limit} bytes", code="RESOURCE_EXHAUSTED")


def _why(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"not valid UTF-8 at byte {error.start + 1}"
    # Other errors may quote the body.
    return str(error) if isinstance(error, _NotPlainError) else "a number is too long"


class _NotPlainError(ValueError):
    """JSON that readers understand in different ways."""


def _distinct(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise _NotPlainError("an object names the same member twice")
        members[name] = value
    return members


def _no_constant(name: str) -> Any:
    raise _NotPlainError(f"{name} is not a number of JSON")


# Made once: with these arguments, `json.loads` would make a decoder for each body.
_DECODER = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_no_constant)
