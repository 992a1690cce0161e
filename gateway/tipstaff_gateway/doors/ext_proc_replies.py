"""What the gateway tells Envoy, and what callers of the LLM API see in place of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tipstaff_gateway.policy import Decision
from tipstaff_gateway.stubs import ext_proc_pb2 as pb

_VERDICT_HEADER = "tipstaff-verdict"
_BLOCKED = 403
_UNREADABLE = 502
# Anthropic's names for errors, by their statuses.
_ANTHROPIC_TYPES = {_BLOCKED: "permission_error", _UNREADABLE: "api_error"}


def skip_the_rest() -> Any:
    """The reply to the headers of a request that is not checked: its bodies need not be sent.

    Envoy heeds it only with `allow_mode_override`.
    """
    mode = pb.ProcessingMode(
        response_header_mode=pb.ProcessingMode.SKIP,
        request_body_mode=pb.ProcessingMode.NONE,
        response_body_mode=pb.ProcessingMode.NONE,
    )
    return pb.ProcessingResponse(request_headers=pb.HeadersResponse(), mode_override=mode)


def ask_uncompressed() -> Any:
    """The reply to the headers of a request that is checked."""
    # The gateway can't read every encoding.
    mutation = pb.HeaderMutation(remove_headers=["accept-encoding"])
    return pb.ProcessingResponse(
        request_headers=pb.HeadersResponse(response=pb.CommonResponse(header_mutation=mutation))
    )


def let_through(decisions: Sequence[Decision] = ()) -> Any:
    """The reply to an answer that passes, with its verdicts in a header."""
    response = pb.CommonResponse()
    if decisions:
        verdicts = ",".join(dict.fromkeys(each.verdict for each in decisions))
        added = response.header_mutation.set_headers.add()
        added.header.key = _VERDICT_HEADER
        added.header.raw_value = verdicts.encode()
    return pb.ProcessingResponse(response_body=pb.BodyResponse(response=response))


def block(path: str, why: str) -> Any:
    """The reply to an answer that may not pass."""
    return _replace(path, _BLOCKED, "tipstaff_blocked", why)


def refuse_unreadable(path: str, why: str) -> Any:
    """The reply to an answer that can't be read."""
    return _replace(path, _UNREADABLE, "tipstaff_unreadable", why)


def _replace(path: str, status: int, code: str, why: str) -> Any:
    reply = pb.ProcessingResponse()
    immediate = reply.immediate_response
    immediate.status.code = status
    immediate.body = json.dumps(_error(path, status, code, f"Tipstaff: {why}")).encode()
    immediate.details = code
    # The second keeps the clients of OpenAI and Anthropic from retrying, and paying again.
    for name, value in (("content-type", "application/json"), ("x-should-retry", "false")):
        added = immediate.headers.set_headers.add()
        added.header.key = name
        added.header.raw_value = value.encode()
    return reply


def _error(path: str, status: int, code: str, message: str) -> Mapping[str, Any]:
    """An error in the form of the path's API: Anthropic's or OpenAI's."""
    if path.endswith("/messages"):
        return {"type": "error", "error": {"type": _ANTHROPIC_TYPES[status], "message": message}}
    return {"error": {"message": message, "type": "guardrail", "param": None, "code": code}}
