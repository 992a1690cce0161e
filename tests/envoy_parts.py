"""The messages that Envoy sends for one request and its answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tipstaff_gateway.stubs import ext_proc_pb2 as pb


def headers(**named: str) -> Any:
    values = [
        pb.HeaderValue(key=name.replace("_", "-"), raw_value=value.encode())
        for name, value in named.items()
    ]
    return pb.HttpHeaders(headers=pb.HeaderMap(headers=values))


def parts(
    request: bytes,
    answer: bytes,
    *,
    path: str = "/v1/chat/completions",
    buffered: bool = True,
    answer_headers: dict[str, str] | None = None,
    **extra: str,
) -> Iterator[Any]:
    mode = pb.ProcessingMode.BUFFERED if buffered else pb.ProcessingMode.STREAMED
    config = pb.ProtocolConfiguration(request_body_mode=mode, response_body_mode=mode)
    sent = headers(**{":path": path, ":method": "POST", "accept_encoding": "gzip"} | extra)
    yield pb.ProcessingRequest(request_headers=sent, protocol_config=config)
    yield pb.ProcessingRequest(request_body=pb.HttpBody(body=request, end_of_stream=True))
    kind = {":status": "200", "content_type": "application/json"} | (answer_headers or {})
    yield pb.ProcessingRequest(response_headers=headers(**kind))
    yield pb.ProcessingRequest(response_body=pb.HttpBody(body=answer, end_of_stream=True))
