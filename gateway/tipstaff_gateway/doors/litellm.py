"""LiteLLM's Generic Guardrail API.

LiteLLM sends the prompt before the call (`input_type: request`) and the answer after it
(`response`), without the prompt: the gateway joins the two by the call's id. An answer whose prompt
is not kept here is scored without it, and the server reports the missing field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tipstaff.types import FIELDS, Interaction
from tipstaff_gateway.chat import Message, read_messages
from tipstaff_gateway.context import (
    CALLER_HEADER,
    RequestContext,
    caller_metadata,
    parse_json,
)
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.mapping import Exchange, Mapped
from tipstaff_gateway.problems import invalid

PROTOCOL = "litellm"
PATH = "/beta/litellm_basic_guardrail_api"


def routes(services: Services) -> list[Route]:
    """The route of this door."""

    async def handle(request: Request, ctx: RequestContext) -> Response:
        body = parse_json(ctx.body)
        exchange = exchange_of(body, request.headers)
        ctx.metadata = _metadata(body, exchange.headers)
        match body.get("input_type"):
            case "request":
                return _keep_prompt(services, body, exchange)
            case "response":
                return await _check_answer(services, body, exchange, ctx)
        raise invalid("input_type: must be 'request' or 'response'")

    return [services.route(PATH, PROTOCOL, handle)]


def exchange_of(body: Mapping[str, Any], headers: Mapping[str, str]) -> Exchange:
    """What a request of LiteLLM offers to the mapping.

    Raises:
        ProblemError: It is not in LiteLLM's form.
    """
    own = {name.lower(): value for name, value in headers.items()}
    passed_on = _member(body, "request_headers", dict) or {}
    theirs = {
        str(name).lower(): value for name, value in passed_on.items() if isinstance(value, str)
    }
    structured = body.get("structured_messages")
    messages = read_messages(structured) if structured else []
    if not messages and body.get("input_type") == "request":
        # Endpoints other than chat send only texts.
        messages = [Message("user", text) for text in texts_of(body)]
    return Exchange(messages=messages, headers={**theirs, **own}, body=body)


def texts_of(body: Mapping[str, Any]) -> list[str]:
    """The texts of a request of LiteLLM.

    Raises:
        ProblemError: They are no list of texts.
    """
    texts = _member(body, "texts", list) or []
    if not all(isinstance(text, str) for text in texts):
        raise invalid("texts: must be a list of texts")
    return texts


def _keep_prompt(services: Services, body: Mapping[str, Any], exchange: Exchange) -> Response:
    mapped = services.mappings[PROTOCOL].map(exchange)
    images = _member(body, "images", list) or []
    if images and "image" not in mapped.unread:
        mapped = replace(mapped, unread=(*mapped.unread, *["image"] * len(images)))
    if call_id := _member(body, "litellm_call_id", str):
        services.joins.put(call_id, mapped)
    return JSONResponse({"action": "NONE"})


async def _check_answer(
    services: Services, body: Mapping[str, Any], exchange: Exchange, ctx: RequestContext
) -> Response:
    call_id = _member(body, "litellm_call_id", str)
    prompt = services.joins.get(call_id) if call_id else None
    services.metrics.joined(prompt is not None)
    texts = texts_of(body)
    images = _member(body, "images", list) or []
    if not texts and not images:
        calls = _member(body, "tool_calls", list)
        if body.get("texts") is None and not calls:
            return _blocked("the answer's texts were not sent: leave exclude_payload_fields out")
        # A turn that calls tools is a step on the way to an answer.
        services.metrics.unscored(PROTOCOL, "tool_calls" if calls else "empty")
        return JSONResponse({"action": "NONE"})
    if not texts:
        return _blocked("the answer has images only, which are not read")
    mapping = services.mappings[PROTOCOL]
    mapped = [
        _joined(mapping.map(replace(exchange, answer=text)), prompt, images) for text in texts
    ]
    params = _member(body, "additional_provider_specific_params", dict) or {}
    evaluator = _member(params, "evaluator", str) or ""
    decisions = await services.judge(PROTOCOL, mapped, ctx, evaluator=evaluator)
    for decision in decisions:
        if decision.blocked:
            hint = ""
            if prompt is None and decision.missing:
                hint = _NO_PROMPT if call_id else _NO_CALL_ID
            return _blocked(decision.explanation + hint)
    # In the middle of a stream the answer is not complete yet: hold back all of it. LiteLLM ignores
    # this once the stream is over.
    return JSONResponse({"action": "NONE", "stream_holdback_chars": [len(text) for text in texts]})


_NO_PROMPT = "; its prompt is not here: configure the guardrail for pre_call and post_call"
_NO_CALL_ID = "; it has no litellm_call_id, so no prompt belongs to it"


def _joined(answer: Mapped, prompt: Mapped | None, images: list[Any]) -> Mapped:
    """The interaction of an answer; the prompt fills in the fields that the answer doesn't have."""
    unread = (*answer.unread, *["image"] * len(images))
    if prompt is None:
        return Mapped(answer.interaction, unread)
    texts = {
        field: own if (own := answer.interaction.get(field)) is not None else before
        for field in FIELDS
        for before in [prompt.interaction.get(field)]
    }
    return Mapped(Interaction(**texts), (*prompt.unread, *unread))


def _metadata(body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The caller's metadata.

    LiteLLM sends the guardrail's key as `x-api-key`; it stands in for a token. The virtual key's
    team or alias is the caller's name.
    """
    known = dict(headers)
    if headers.get("x-api-key") and not headers.get("authorization"):
        known["authorization"] = f"Bearer {headers['x-api-key']}"
    if not headers.get(CALLER_HEADER):
        data = _member(body, "request_data", dict) or {}
        for name in ("user_api_key_team_alias", "user_api_key_team_id", "user_api_key_alias"):
            value = data.get(name)
            if isinstance(value, str) and value.isascii() and value.isprintable() and value:
                known[CALLER_HEADER] = value
                break
    return caller_metadata(known)


def _blocked(reason: str) -> Response:
    return JSONResponse({"action": "BLOCKED", "blocked_reason": f"Tipstaff: {reason}"})


_Kind: TypeAlias = type[str] | type[list[Any]] | type[dict[str, Any]]


def _member(body: Mapping[str, Any], name: str, kind: _Kind) -> Any:
    """A member of an object, None if absent.

    Raises:
        ProblemError: It is of another kind.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        what = "a text" if kind is str else "a list" if kind is list else "an object"
        raise invalid(f"{name}: must be {what}")
    return value
