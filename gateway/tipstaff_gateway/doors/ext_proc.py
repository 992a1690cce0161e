"""Envoy's external processor: scores the answers of LLM APIs as they pass.

Envoy sends the request's headers and body, then the answer's, whole (`BUFFERED`, also for
server-sent events). An answer that may not pass is replaced. Where there is no score, or where
Envoy is set up so that answers would pass unseen, the stream ends with an error, and
`failure_mode_allow` in Envoy's configuration decides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import grpc.aio

from tipstaff_gateway.chat import (
    Answer,
    Message,
    UnreadableAnswerError,
    read_answers,
    read_request,
    read_stream,
)
from tipstaff_gateway.compression import CompressionError, decompress
from tipstaff_gateway.context import RequestContext, parse_json
from tipstaff_gateway.doors.ext_proc_replies import (
    ask_uncompressed,
    block,
    let_through,
    refuse_unreadable,
    skip_the_rest,
)
from tipstaff_gateway.doors.rpc import RpcExchange, headers_of
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.mapping import Exchange, Mapped
from tipstaff_gateway.problems import ProblemError
from tipstaff_gateway.stubs import ext_proc_pb2 as pb
from tipstaff_gateway.stubs import ext_proc_pb2_grpc

PROTOCOL = "envoy"
# How the paths of LLM APIs end.
PATHS = ("/chat/completions", "/completions", "/responses", "/messages")


@dataclass(slots=True)
class _Passing:
    """One request and its answer, as they pass.

    Attributes:
        caller: The metadata of Envoy's own call, with Envoy's token for the Tipstaff server.
        headers: The request's headers; its `authorization` is that of the LLM API.
        request_body: The request's body.
        answer_headers: The answer's headers.
    """

    caller: Mapping[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    request_body: bytes = b""
    answer_headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.headers.get(":path", "").partition("?")[0]

    @property
    def is_checked(self) -> bool:
        """Whether the request is a call of an LLM API."""
        return self.headers.get(":method") == "POST" and self.path.endswith(PATHS)

    @property
    def unchecked(self) -> Literal["path", "status"] | None:
        """Why the answer passes unread, as metrics have it; None for one that is checked."""
        if not self.is_checked:
            return "path"
        return None if self.answer_headers.get(":status", "").startswith("2") else "status"


class ExternalProcessor(ext_proc_pb2_grpc.ExternalProcessorServicer):
    """Answers Envoy's streams."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def Process(  # noqa: N802
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        """Processes one request of HTTP and its answer."""
        passing = _Passing(caller=headers_of(context))
        async with RpcExchange(self._services, PROTOCOL, context) as exchange:
            async for request in requests:
                with exchange.message():
                    reply = await self._reply(request, passing)
                exchange.answered = exchange.answered or _is_last(request, reply)
                yield reply
                if reply.HasField("immediate_response"):
                    return

    async def _reply(self, request: Any, passing: _Passing) -> Any:
        part = request.WhichOneof("request")
        if request.HasField("protocol_config"):
            _check_mode(request.protocol_config)
        if part is not None and part != "request_headers" and not passing.headers:
            raise _set_up_wrongly("request_header_mode", "SEND")
        match part:
            case "request_headers":
                passing.headers = _headers(request.request_headers)
                return ask_uncompressed() if passing.is_checked else skip_the_rest()
            case "request_body":
                self._keep(passing, request.request_body.body)
                return pb.ProcessingResponse(request_body=pb.BodyResponse())
            case "response_headers":
                passing.answer_headers = _headers(request.response_headers)
                if request.response_headers.end_of_stream:
                    self._services.metrics.unscored(PROTOCOL, passing.unchecked or "empty")
                return pb.ProcessingResponse(response_headers=pb.HeadersResponse())
            case "response_body":
                if passing.is_checked and not passing.answer_headers:
                    raise _set_up_wrongly("response_header_mode", "SEND")
                return await self._check(passing, request.response_body.body)
            case "request_trailers":
                return pb.ProcessingResponse(request_trailers=pb.TrailersResponse())
            case "response_trailers":
                return pb.ProcessingResponse(response_trailers=pb.TrailersResponse())
        raise ProblemError(400, "a message of a kind that is not known")

    def _keep(self, passing: _Passing, body: bytes) -> None:
        """Keeps the body of a request whose answer will be checked."""
        if not passing.is_checked:
            return
        passing.request_body += body
        if len(passing.request_body) > self._services.settings.max_body_bytes:
            raise ProblemError(413, "the request's body is too large", code="RESOURCE_EXHAUSTED")

    async def _check(self, passing: _Passing, body: bytes) -> Any:
        """The reply to an answer's body."""
        if passing.unchecked:
            self._services.metrics.unscored(PROTOCOL, passing.unchecked)
            return let_through()
        own = {name: value for name, value in passing.headers.items() if name != "authorization"}
        ctx = RequestContext.of({**own, **passing.caller}, timeout=self._services.settings.timeout)
        try:
            answers = self._answers(passing, body)
        except UnreadableAnswerError as error:
            return refuse_unreadable(passing.path, str(error))
        mapped: list[Mapped] = []
        for answer in answers:
            if answer.text:
                mapped.append(self._map(passing, answer))
            elif answer.unread:
                kinds = ", ".join(dict.fromkeys(answer.unread))
                return block(passing.path, f"the answer has only parts not read: {kinds}")
        if not mapped:
            calls = any(answer.calls_tools for answer in answers)
            self._services.metrics.unscored(PROTOCOL, "tool_calls" if calls else "empty")
            return let_through()
        decisions = await self._services.judge(PROTOCOL, mapped, ctx)
        for decision in decisions:
            if decision.blocked:
                return block(passing.path, decision.explanation)
        return let_through(decisions)

    def _answers(self, passing: _Passing, body: bytes) -> list[Answer]:
        headers, limit = passing.answer_headers, self._services.settings.max_body_bytes
        if len(body) > limit:
            raise UnreadableAnswerError("the answer is too large")
        try:
            body = decompress(body, headers.get("content-encoding", ""), limit)
        except CompressionError as error:
            raise UnreadableAnswerError(f"the answer is {error}") from None
        if headers.get("content-type", "").startswith("text/event-stream"):
            return read_stream(body)
        try:
            return read_answers(parse_json(body))
        except ProblemError as problem:
            raise UnreadableAnswerError(problem.detail) from None

    def _map(self, passing: _Passing, answer: Answer) -> Mapped:
        messages: list[Message] = []
        body: Any = None
        try:
            limit = self._services.settings.max_body_bytes
            encoding = passing.headers.get("content-encoding", "")
            body = parse_json(decompress(passing.request_body, encoding, limit))
            messages = read_request(body)
        except (CompressionError, ProblemError):
            # The server reports what is missing then.
            pass
        mapped = self._services.mappings[PROTOCOL].map(
            Exchange(messages=messages, answer=answer.text, headers=passing.headers, body=body)
        )
        return Mapped(mapped.interaction, (*mapped.unread, *answer.unread))


def _is_last(request: Any, reply: Any) -> bool:
    """Whether Envoy needs no other reply: the answer was seen, or need not be."""
    return bool(
        request.HasField("response_body")
        or (request.HasField("response_headers") and request.response_headers.end_of_stream)
        or reply.HasField("mode_override")
    )


def _check_mode(config: Any) -> None:
    """Checks that Envoy is set up to hold answers back.

    Raises:
        ProblemError: It isn't; says which setting to change.
    """
    wanted = pb.ProcessingMode.BUFFERED
    for name in ("request_body_mode", "response_body_mode"):
        if getattr(config, name) != wanted:
            raise _set_up_wrongly(name, "BUFFERED")


def _set_up_wrongly(name: str, wanted: str) -> ProblemError:
    detail = f"processing_mode: set {name} to {wanted}, or answers pass without the check"
    return ProblemError(400, detail, code="FAILED_PRECONDITION")


def _headers(message: Any) -> dict[str, str]:
    return {
        each.key.lower(): each.value or each.raw_value.decode("latin-1")
        for each in message.headers.headers
    }
