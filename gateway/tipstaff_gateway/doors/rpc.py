"""What surrounds the handling of each call over gRPC."""

from __future__ import annotations

import asyncio
import math
import time
from types import TracebackType

import grpc
import grpc.aio

from tipstaff.channel import LONGEST_TIMEOUT
from tipstaff.errors import ScoringError
from tipstaff.statuses import PUSHBACK_TRAILER
from tipstaff_gateway.context import RequestContext
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.problems import ProblemError, problem_of


class RpcCall:
    """Surrounds a call: counts it, and ends it with the status of an error."""

    def __init__(self, services: Services, door: str, context: grpc.aio.ServicerContext) -> None:
        self._services = services
        self._door = door
        self._context = context
        self._started = time.monotonic()

    async def __aenter__(self) -> RpcCall:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        problem = problem_of(error) if isinstance(error, ScoringError) else error
        code = "OK" if problem is None else "UNKNOWN"
        if isinstance(problem, ProblemError):
            code = problem.code
        elif isinstance(problem, asyncio.CancelledError):
            # The caller is gone; the call of the server is cancelled with this one.
            code = "CANCELLED"
        seconds = time.monotonic() - self._started
        self._services.metrics.answered(self._door, code, seconds)
        if isinstance(problem, ProblemError):
            if problem.retry_after is not None:
                milliseconds = str(math.ceil(problem.retry_after * 1000))
                self._context.set_trailing_metadata(((PUSHBACK_TRAILER, milliseconds),))
            await self._context.abort(grpc.StatusCode[code], problem.detail)


def headers_of(context: grpc.aio.ServicerContext) -> dict[str, str]:
    """The metadata of a call that is text."""
    return {
        name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)
    }


def context_of(services: Services, context: grpc.aio.ServicerContext) -> RequestContext:
    """The context of a call; its deadline is the caller's, or the gateway's where it has none.

    Raises:
        ProblemError: A header is invalid.
    """
    ctx = RequestContext.of(headers_of(context), timeout=services.settings.timeout)
    remaining = context.time_remaining()
    if remaining is not None:
        ctx.timeout = min(remaining, LONGEST_TIMEOUT)
    return ctx
