"""The description of the gateway's own door, against what the door answers."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from urllib.parse import urlsplit

import grpc
import httpx
import pytest

from tipstaff_gateway.app import build
from tipstaff_gateway.doors.openapi import describe
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.joins import JoinMemory
from tipstaff_gateway.metrics import Metrics
from tipstaff_gateway.settings import Settings

REQUESTS = {
    "Score": {"output": "a"},
    "ScoreBatch": {"requests": [{"output": "a"}]},
    "ListEvaluators": None,
    "SubmitFeedback": {"request_id": "a", "good": True},
}
OPERATIONS = [
    (verb.upper(), path, operation)
    for path, verbs in describe()["paths"].items()
    for verb, operation in verbs.items()
]


def described(operation) -> set[int]:
    return {int(status) for status in operation["responses"]}


def slow_body(gateway, verb, path) -> int:
    """The status for a body of which only a part comes."""
    address = urlsplit(gateway.url)
    head = f"{verb} {path} HTTP/1.1\r\nhost: a\r\ntipstaff-timeout-ms: 100\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        return int(connection.recv(4096).split(b" ")[1])


@pytest.mark.parametrize(("verb", "path", "operation"), OPERATIONS)
def test_an_operation_has_the_statuses_that_are_described(refuse, verb, path, operation):
    name = operation["operationId"]
    codes = set(grpc.StatusCode) - {grpc.StatusCode.OK}
    if name in ("ScoreBatch", "ListEvaluators"):
        # The requests of a batch are answered one by one; a list asks for no evaluator.
        codes -= {grpc.StatusCode.NOT_FOUND}

    def ask(**options) -> int:
        response = gateway.http.request(verb, path, **({"json": REQUESTS[name]} | options))
        if response.status_code != 200:
            assert response.headers["content-type"] == "application/problem+json"
        return response.status_code

    statuses = set()
    for code in codes:
        gateway = refuse(code.name, "-1")  # no retries: the server pushes back
        statuses.add(ask())
    large = b"a" * (Settings(target="a:1").max_body_bytes + 1)
    statuses |= {
        ask(headers={"tipstaff-timeout-ms": "soon"}),
        ask(headers={"content-encoding": "gzip"}, json=None, content=b"a"),
        ask(json=None, content=large),
        slow_body(gateway, verb, path),
    }
    # The gateway's own error is the next test's.
    assert statuses | {200, 500} == described(operation)


@pytest.mark.parametrize(("verb", "path", "operation"), OPERATIONS)
def test_an_error_of_the_gateway_s_own_is_described_too(verb, path, operation):
    async def send(*_):
        raise KeyError("some text")

    settings = Settings(target="a:1")
    upstream = SimpleNamespace(send=send)
    services = Services(settings, upstream, {}, Metrics(), JoinMemory(1, 1))

    async def ask():
        transport = httpx.ASGITransport(app=build(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            return await client.request(verb, path, json=REQUESTS[operation["operationId"]])

    response = asyncio.run(ask())
    assert response.status_code == 500
    assert "some text" not in response.text
    assert 500 in described(operation)


def test_feedback_for_a_server_that_keeps_none_is_not_a_missed_deadline(gateway):
    """Once, it was: 504, as for a score that can't be there in time."""
    response = gateway.post("/v1/feedback", {"request_id": "a", "good": True})
    assert (response.status_code, response.json()["code"]) == (501, "FAILED_PRECONDITION")
    assert "keeps no traffic" in response.json()["detail"]
    assert "within" not in response.json()["detail"]
