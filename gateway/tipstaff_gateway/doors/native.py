"""Tipstaff's own door: the JSON of `scoring.proto`.

Messages are passed on as they are, so that new fields of the proto need no change here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_gateway.context import RequestContext, parse_json
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.problems import invalid
from tipstaff_gateway.proto_json import merge_dict, to_json

# In the errors of `json_format` about a field's name.
_NO_FIELD = re.compile(r'Message type "([\w.]+)" has no field named')
_SERVICE = pb.DESCRIPTOR.services_by_name["ScoringService"]
_PATHS = {
    "Score": "/v1/score",
    "ScoreBatch": "/v1/score-batch",
    "ListEvaluators": "/v1/evaluators",
    "SubmitFeedback": "/v1/feedback",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of the service as an operation over HTTP."""

    method: MethodDescriptor
    path: str

    @property
    def verb(self) -> str:
        """The method of HTTP: what needs no request is a GET."""
        return "POST" if self.method.input_type.fields else "GET"


def operations() -> Iterator[Operation]:
    """The operations that this version of the client knows."""
    for method in _SERVICE.methods:
        if method.name in _PATHS:
            yield Operation(method, _PATHS[method.name])


def routes(services: Services) -> list[Route]:
    """The routes of this door."""
    return [
        services.route(each.path, "native", _handler(each, services), methods=(each.verb,))
        for each in operations()
    ]


def _handler(operation: Operation, services: Services) -> Any:
    request_class = getattr(pb, operation.method.input_type.name)

    async def handle(request: Request, ctx: RequestContext) -> Response:
        message = request_class()
        if operation.verb == "POST":
            _parse(ctx.body, message)
        _name_evaluator(message, services.settings.evaluator)
        reply = await services.upstream.send(operation.method.name, message, ctx)
        return Response(to_json(reply), media_type="application/json")

    return handle


def _parse(body: bytes, message: Message) -> None:
    try:
        merge_dict(parse_json(body), message)
    except json_format.ParseError as error:
        # The lines after the first list all fields of the message, in the library's own form.
        line = str(error).partition("\n")[0]
        shown = line if len(line) <= 200 else f"{line[:200]}…"
        raise invalid(shown + _known_fields(line, message)) from None


def _known_fields(error: str, message: Message) -> str:
    """The fields of the message of which an error says that it has no such field; else nothing."""
    if not (match := _NO_FIELD.search(error)):
        return ""
    # The message itself, or one inside of it.
    try:
        descriptor = message.DESCRIPTOR.file.pool.FindMessageTypeByName(match[1])
    except KeyError:
        return ""
    return f" It has {', '.join(each.name for each in descriptor.fields)}."


def _name_evaluator(message: Message, evaluator: str) -> None:
    """Fills in the gateway's evaluator where a request names none."""
    requests = message.requests if isinstance(message, pb.ScoreBatchRequest) else [message]
    for each in requests:
        if isinstance(each, pb.ScoreRequest | pb.SubmitFeedbackRequest) and not each.evaluator:
            each.evaluator = evaluator
