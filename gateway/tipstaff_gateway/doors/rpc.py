"""What all calls over gRPC share: counting, and errors as statuses."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import grpc
import grpc.aio

from tipstaff.channel import LONGEST_TIMEOUT
from tipstaff.statuses import PUSHBACK_TRAILER
from tipstaff_gateway.context import RequestContext
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.problems import ProblemError, problem_of


class RpcExchange:
    """A stream on which one exchange passes, message by message: counted once, when it is over.

    It ends with a status if the handling of a message raises an error. Its time is that of the
    handling of its messages, without the waits between them.

    Attributes:
        answered: Whether the exchange came to its answer; if not, somebody left before.
    """

    def __init__(self, services: Services, door: str, context: grpc.aio.ServicerContext) -> None:
        self.answered = False
        self._services = services
        self._door = door
        self._context = context
        self._seconds = 0.0
        self._problem: ProblemError | None = None

    async def __aenter__(self) -> RpcExchange:
        return self

    async def __aexit__(self, *_: object) -> None:
        code = "OK" if self.answered else "CANCELLED"
        if self._problem is not None:
            code = self._problem.code
        self._services.metrics.answered(self._door, code, self._seconds)
        if self._problem is not None:
            await _abort(self._context, self._problem)

    @contextmanager
    def message(self) -> Iterator[None]:
        """Handles one message; an error of it ends the exchange."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            self._problem = problem_of(error, self._door)
            raise
        finally:
            self._seconds += time.monotonic() - started


@asynccontextmanager
async def rpc_call(
    services: Services, door: str, context: grpc.aio.ServicerContext
) -> AsyncIterator[None]:
    """Counts a call of one message, and ends it with a status if its handling raises an error.

    A cancelled call cancels that of the server too: the caller is gone.
    """
    async with RpcExchange(services, door, context) as exchange:
        with exchange.message():
            yield
        exchange.answered = True


async def _abort(context: grpc.aio.ServicerContext, problem: ProblemError) -> None:
    """Ends a call with the status of a problem."""
    if problem.retry_after is not None:
        milliseconds = str(math.ceil(problem.retry_after * 1000))
        context.set_trailing_metadata(((PUSHBACK_TRAILER, milliseconds),))
    await context.abort(grpc.StatusCode[problem.code], problem.detail)


def headers_of(context: grpc.aio.ServicerContext) -> dict[str, str]:
    """The metadata of a call that is text."""
    return {
        name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)
    }


def context_of(services: Services, context: grpc.aio.ServicerContext) -> RequestContext:
    """The context of a call, with the caller's deadline or else the gateway's.

    Raises:
        ProblemError: A header is invalid.
    """
    ctx = RequestContext.of(headers_of(context), timeout=services.settings.timeout)
    remaining = context.time_remaining()
    if remaining is not None:
        ctx.timeout = min(remaining, LONGEST_TIMEOUT)
    return ctx
