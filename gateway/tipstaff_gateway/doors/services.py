"""What all doors share: the gateway's parts, and how a request over HTTP is handled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tipstaff_gateway.context import RequestContext, read_body
from tipstaff_gateway.joins import JoinMemory
from tipstaff_gateway.mapping import Mapped, ProtocolMapping
from tipstaff_gateway.metrics import Metrics
from tipstaff_gateway.policy import Decision, decide
from tipstaff_gateway.problems import ProblemError, problem_of, problem_response
from tipstaff_gateway.settings import Settings
from tipstaff_gateway.upstream import Upstream

Handler = Callable[[Request, RequestContext], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]
Render = Callable[[ProblemError], Response]

# nginx's status for a caller who left; only metrics show it.
_CALLER_LEFT = 499
_WATCH_AFTER_SECONDS = 0.01


class _Caller:
    """Cancels the handling of a request, and so its call of the server, once its caller is gone.

    Enter it after the request's body was read. It starts its task only for requests that take
    longer than a moment, since tasks cost time.

    Attributes:
        left: Whether the caller is gone.
    """

    def __init__(self, request: Request) -> None:
        self.left = False
        self._receive = request.receive
        self._starting: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        handling = asyncio.current_task()
        assert handling is not None
        loop = asyncio.get_running_loop()
        self._starting = loop.call_later(_WATCH_AFTER_SECONDS, self._start, handling)

    def __exit__(self, *error: object) -> None:
        if self._starting is not None:
            self._starting.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self.left and (handling := asyncio.current_task()):
            handling.uncancel()

    def _start(self, handling: asyncio.Task[Any]) -> None:
        self._watching = asyncio.create_task(self._watch(handling))

    async def _watch(self, handling: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        handling.cancel()


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a gateway that doors share."""

    settings: Settings
    upstream: Upstream
    mappings: Mapping[str, ProtocolMapping]
    metrics: Metrics
    joins: JoinMemory

    async def judge(
        self,
        protocol: str,
        mapped: Sequence[Mapped],
        ctx: RequestContext,
        *,
        evaluator: str = "",
        version: int = 0,
    ) -> list[Decision]:
        """Scores interactions, and decides whether each passes.

        Raises:
            ScoringError: One of them has no score.
            ProblemError: A text is not Unicode, or the deadline has passed.
        """
        mapping = self.mappings[protocol]
        scores = await self.upstream.score(
            [each.interaction for each in mapped],
            ctx,
            evaluator=evaluator or mapping.evaluator,
            version=version,
        )
        decisions = [
            decide(score, each.interaction, review=mapping.review, unread=each.unread)
            for score, each in zip(scores, mapped, strict=True)
        ]
        for decision in decisions:
            self.metrics.decided(protocol, decision)
        return decisions

    def route(
        self,
        path: str,
        door: str,
        handler: Handler,
        *,
        methods: Sequence[str] = ("POST",),
        render: Render = problem_response,
    ) -> Route:
        """A route that counts its requests and renders errors in the form of its protocol.

        Args:
            path: The path, as Starlette writes it.
            door: The door's name in metrics.
            handler: Answers a request.
            methods: The methods of HTTP that it answers.
            render: Turns a problem into a reply.
        """

        async def endpoint(request: Request) -> Response:
            started = time.monotonic()
            caller = _Caller(request)
            try:
                ctx = RequestContext.of(request.headers, timeout=self.settings.timeout)
                ctx.body = await read_body(request, ctx, self.settings.max_body_bytes)
                with caller:
                    response = await handler(request, ctx)
            except ClientDisconnect:
                response = Response(status_code=_CALLER_LEFT)
            except asyncio.CancelledError:
                if not caller.left:
                    raise
                response = Response(status_code=_CALLER_LEFT)
            except Exception as error:
                response = render(problem_of(error, door))
            self.metrics.answered(door, str(response.status_code), time.monotonic() - started)
            return response

        return Route(path, endpoint, methods=list(methods))
