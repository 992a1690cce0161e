"""Shows what a mapping finds in a request, for the person who writes the mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_gateway.chat import Answer, UnreadableAnswerError, read_answers, read_request
from tipstaff_gateway.context import parse_json
from tipstaff_gateway.doors import litellm
from tipstaff_gateway.mapping import Exchange, ProtocolMapping
from tipstaff_gateway.problems import ProblemError

_SHOWN = 300


def explain(
    protocol: str,
    mapping: ProtocolMapping,
    body: bytes,
    headers: Mapping[str, str],
    origin: str,
) -> Iterator[str]:
    """Lines that say which source finds what, and what is missing.

    Args:
        protocol: The protocol.
        mapping: Its mapping.
        body: A request's body; for `envoy` with the answer's as its member `response`.
        headers: The request's headers.
        origin: Where the body was read from, such as the name of a file.

    Raises:
        UsageError: The request can't be read; names its origin.
    """
    try:
        exchange, others = exchange_of(protocol, body, {k.lower(): v for k, v in headers.items()})
    except ProblemError as problem:
        raise UsageError(problem.detail, field="request", value=origin) from None
    except UnreadableAnswerError as error:
        raise UsageError(str(error), field="request", value=origin) from None
    elsewhere = _elsewhere(protocol, body)
    for field in FIELDS:
        found = mapping.find(exchange, field)
        if found.text is None and field in elsewhere:
            yield f"{field}: not in this request, comes with {elsewhere[field]}"
        elif found.text is None:
            yield f"{field}: missing (MISSING_FIELD if the evaluator reads it, which never passes)"
        else:
            yield f"{field}: {len(found.text)} characters"
        for source in mapping.sources(field):
            part = source.find(exchange)
            text = "nothing" if not (part.text or "").strip() else repr(_short(part.text or ""))
            unread = f"; not read: {', '.join(part.unread)}" if part.unread else ""
            yield f"  {source.name}: {text}{unread}"
        if not mapping.sources(field):
            yield "  no sources"
    if others:
        yield f"beside the answer, not read: {', '.join(others)} (never PASS)"
    yield f"evaluator: {mapping.evaluator or 'the one that the request or the gateway names'}"
    yield f"review: {mapping.review}"


def _elsewhere(protocol: str, body: bytes) -> Mapping[str, str]:
    """The fields that a request need not have in its protocol, and where they come from."""
    value = parse_json(body)
    if protocol == "envoy" and "response" not in value:
        return {"output": "the answer, which this command takes as the member `response`"}
    if protocol == "litellm" and value.get("input_type") == "response":
        prompt = "the prompt of the same litellm_call_id"
        return {"input": prompt, "ground_truth": prompt}
    return {"output": "the answer"} if protocol == "litellm" else {}


def exchange_of(
    protocol: str, body: bytes, headers: Mapping[str, str]
) -> tuple[Exchange, tuple[str, ...]]:
    """What a request offers to the mapping, and the kinds of parts beside its answer.

    Raises:
        ProblemError: The request can't be read.
        UnreadableAnswerError: Its answer can't be read.
    """
    value = parse_json(body)
    if protocol == "litellm":
        exchange = litellm.exchange_of(value, headers)
        texts = litellm.texts_of(value)
        answer = texts[0] if texts and value.get("input_type") == "response" else None
        images = value.get("images")
        kinds = ("image",) * len(images) if isinstance(images, list) else ()
        return Exchange(exchange.messages, answer, headers=exchange.headers, body=value), kinds
    if protocol == "envoy":
        response = value.get("response")
        answers = read_answers(response) if isinstance(response, Mapping) else []
        first = answers[0] if answers else Answer(None)
        exchange = Exchange(read_request(value), first.text, headers=headers, body=value)
        return exchange, first.unread
    if protocol == "nemo":
        found = value.get("input") or value.get("instances") or value.get("contents")
        text = found[0] if isinstance(found, list) and found else found
        return Exchange(texts={"text": text} if isinstance(text, str) else {}, headers=headers), ()
    texts_by_name: dict[str, str] = {}
    tensors = value.get("inputs")
    for tensor in tensors if isinstance(tensors, list) else []:
        data = tensor.get("data") if isinstance(tensor, Mapping) else None
        if isinstance(data, list) and data and isinstance(data[0], str):
            texts_by_name[f"tensor:{tensor.get('name')}"] = data[0]
    return Exchange(texts=texts_by_name, headers=headers), ()


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
