"""Envoy's processor, called as Envoy does; `integrations/test_envoy.py` has the real one."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
import zlib
from collections import Counter

import grpc
import pytest
from envoy_parts import headers, parts
from opening_hours import BAD, FACTS, GOOD, QUESTION
from running_server import wait_until

from tipstaff_gateway.stubs import ext_proc_pb2 as pb
from tipstaff_gateway.stubs import ext_proc_pb2_grpc

MESSAGES = [
    {"role": "system", "content": f"<context>{FACTS}</context>"},
    {"role": "user", "content": QUESTION},
]


@pytest.fixture(scope="module")
def stub(gateway):
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield ext_proc_pb2_grpc.ExternalProcessorStub(channel)


def process(stub, say, **options):
    request = json.dumps({"messages": MESSAGES}).encode()
    answer = json.dumps({"choices": [{"message": {"content": say}}]}).encode()
    return list(stub.Process(parts(request, answer, **options), timeout=10))


def test_each_part_has_one_reply_and_a_good_answer_its_verdict(stub):
    first, second, third, last = process(stub, GOOD)
    assert list(first.request_headers.response.header_mutation.remove_headers) == [
        "accept-encoding"
    ]
    assert second.HasField("request_body")
    assert third.HasField("response_headers")
    (added,) = last.response_body.response.header_mutation.set_headers
    assert (added.header.key, added.header.raw_value) == ("tipstaff-verdict", b"PASS")


def test_a_bad_answer_is_replaced(stub):
    immediate = process(stub, BAD)[-1].immediate_response
    assert immediate.status.code == 403
    assert json.loads(immediate.body)["error"]["code"] == "tipstaff_blocked"


def test_other_paths_are_left_alone_and_their_bodies_not_wanted(stub):
    replies = process(stub, BAD, path="/v1/embeddings?a=/completions")
    assert not replies[0].request_headers.HasField("response")
    override = replies[0].mode_override
    assert (override.request_body_mode, override.response_body_mode) == (0, 0)
    assert override.response_header_mode == pb.ProcessingMode.SKIP
    assert replies[-1].HasField("response_body")


def test_an_error_is_in_the_form_of_the_api_that_was_called(stub):
    immediate = process(stub, BAD, path="/v1/messages?beta=true")[-1].immediate_response
    error = json.loads(immediate.body)
    assert (error["type"], error["error"]["type"]) == ("error", "permission_error")
    named = {each.header.key: each.header.raw_value for each in immediate.headers.set_headers}
    assert named == {"content-type": b"application/json", "x-should-retry": b"false"}


GZIPPED = {"content_encoding": "gzip"}


@pytest.mark.parametrize(
    ("change", "how", "status", "why"),
    [
        (gzip.compress, GZIPPED, None, ""),
        (zlib.compress, {"content_encoding": "deflate"}, None, ""),
        (lambda data: gzip.compress(data)[:-9], GZIPPED, 502, "not one whole gzip stream"),
        (lambda data: gzip.compress(data) + b"a", GZIPPED, 502, "not one whole gzip stream"),
        (lambda data: data, GZIPPED, 502, "not gzip"),
        (lambda data: gzip.compress(data + b" " * 30_000), GZIPPED, 502, "too large when"),
        (lambda data: data, {"content_encoding": "br"}, 502, "a way that is not read: br"),
        (lambda data: data + b" " * 30_000, {}, 502, "the answer is too large"),
    ],
)
def test_compressed_answers_are_read_within_bounds(stub, change, how, status, why):
    request = json.dumps({"messages": MESSAGES}).encode()
    for say, code in ((GOOD, None), (BAD, 403)):
        answer = json.dumps({"choices": [{"message": {"content": say}}]}).encode()
        calls = parts(request, change(answer), answer_headers=how)
        immediate = list(stub.Process(calls, timeout=10))[-1].immediate_response
        assert immediate.status.code == (status or code or 0)
        assert why in immediate.body.decode()


def test_a_compressed_request_has_its_facts(stub):
    request = json.dumps({"messages": MESSAGES}).encode()
    answer = json.dumps({"choices": [{"message": {"content": GOOD}}]}).encode()
    for body, passes in ((gzip.compress(request), True), (request, False)):
        calls = parts(body, answer, content_encoding="gzip")
        last = list(stub.Process(calls, timeout=10))[-1]
        assert last.HasField("response_body") is passes
    assert "missing: input and ground_truth" in last.immediate_response.body.decode()


def unscored(gateway, reason):
    name = f'tipstaff_gateway_unscored_total{{door="envoy",reason="{reason}"}} '
    lines = gateway.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/v1/completions", "204", "empty"),
        ("/v1/completions", "503", "status"),
        ("/v1/embeddings", "204", "path"),
    ],
)
def test_an_answer_without_a_body_is_counted_by_its_reason(stub, gateway, path, status, reason):
    before = unscored(gateway, reason)
    answer = headers(**{":status": status})
    answer.end_of_stream = True
    calls = [
        pb.ProcessingRequest(request_headers=headers(**{":path": path, ":method": "POST"})),
        pb.ProcessingRequest(response_headers=answer),
    ]
    assert len(list(stub.Process(iter(calls), timeout=10))) == 2
    assert unscored(gateway, reason) == before + 1


def counted(gateway, part="count"):
    """What the gateway has counted of exchanges with Envoy, by status."""
    pattern = rf'request_duration_seconds_{part}{{door="envoy",status="(\w+)"}} (\S+)'
    found = re.findall(pattern, gateway.get("/metrics").text)
    return Counter({status: float(value) for status, value in found})


def test_each_exchange_is_counted_once_by_how_it_ended(stub, gateway):
    """Once, each of its messages was."""
    before = counted(gateway)
    process(stub, GOOD)
    process(stub, BAD)
    process(stub, BAD, path="/v1/embeddings")
    refusal(stub.Process(parts(b"a" * 30_000, b"{}"), timeout=10))
    # Envoy ends the stream like this where a caller leaves before the answer.
    list(stub.Process(iter(list(parts(b"{}", b"{}"))[:2]), timeout=10))
    leaving = stub.Process(waiting := WaitingParts(), timeout=10)
    next(leaving)
    leaving.cancel()
    waiting.over.set()
    expected = {"OK": 3, "RESOURCE_EXHAUSTED": 1, "CANCELLED": 2}
    wait_until(lambda: counted(gateway) - before == expected)


def test_the_time_of_an_exchange_is_that_of_the_gateway_alone(stub, gateway):
    before = counted(gateway, "sum")

    def slowly():
        for part in parts(b"{}", b"{}", path="/v1/embeddings"):
            yield part
            time.sleep(0.3)

    assert len(list(stub.Process(slowly(), timeout=10))) == 4
    assert 0 < (counted(gateway, "sum") - before)["OK"] < 0.3


class WaitingParts:
    """The first message of an exchange, and then no other until it is over."""

    def __init__(self):
        self.over = threading.Event()
        self._left = list(parts(b"{}", b"{}"))[:1]

    def __iter__(self):
        return self

    def __next__(self):
        if self._left:
            return self._left.pop()
        self.over.wait(20)
        raise StopIteration


def test_an_error_of_the_llm_api_passes_and_is_counted(stub, gateway):
    before = unscored(gateway, "status")
    last = process(stub, BAD, answer_headers={":status": "500"})[-1]
    assert last.HasField("response_body")
    assert unscored(gateway, "status") == before + 1


def test_parts_without_a_body_and_trailers_pass(stub):
    calls = [
        pb.ProcessingRequest(
            request_headers=headers(**{":path": "/v1/completions", ":method": "POST"})
        ),
        pb.ProcessingRequest(request_body=pb.HttpBody(body=b"{}")),
        pb.ProcessingRequest(request_trailers=pb.HttpTrailers()),
        pb.ProcessingRequest(
            response_headers=pb.HttpHeaders(
                headers=headers(**{":status": "204"}).headers, end_of_stream=True
            )
        ),
        pb.ProcessingRequest(response_trailers=pb.HttpTrailers()),
    ]
    found = [each.WhichOneof("response") for each in stub.Process(iter(calls), timeout=10)]
    assert found == [each.WhichOneof("request") for each in calls]


def refusal(calls):
    with pytest.raises(grpc.RpcError) as caught:
        list(calls)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize(
    ("skipped", "name"), [(0, "request_header_mode"), (2, "response_header_mode")]
)
def test_a_mode_in_which_headers_are_unknown_is_refused(stub, skipped, name):
    request = json.dumps({"messages": MESSAGES}).encode()
    calls = list(parts(request, b"{}"))
    del calls[skipped]
    code, details = refusal(stub.Process(iter(calls), timeout=10))
    assert code == "FAILED_PRECONDITION"
    assert f"{name} to SEND" in details


def test_a_mode_that_lets_answers_pass_first_is_refused(stub):
    request = json.dumps({"messages": MESSAGES}).encode()
    calls = stub.Process(parts(request, b"{}", buffered=False), timeout=10)
    code, details = refusal(calls)
    assert code == "FAILED_PRECONDITION"
    assert "BUFFERED" in details


def test_a_request_that_is_too_large_ends_the_stream(stub):
    code, details = refusal(stub.Process(parts(b"a" * 100_000, b"{}"), timeout=10))
    assert code == "RESOURCE_EXHAUSTED"
    assert "larger than max" in details
    code, details = refusal(stub.Process(parts(b"a" * 30_000, b"{}"), timeout=10))
    assert (code, details) == ("RESOURCE_EXHAUSTED", "the request's body is too large")


def test_a_message_without_a_part_and_a_bad_header_end_the_stream(stub):
    assert refusal(stub.Process(iter([pb.ProcessingRequest()]), timeout=10))[0] == (
        "INVALID_ARGUMENT"
    )
    request = json.dumps({"messages": MESSAGES}).encode()
    answer = json.dumps({"choices": [{"message": {"content": GOOD}}]}).encode()
    bad = parts(request, answer, tipstaff_timeout_ms="soon")
    assert refusal(stub.Process(bad, timeout=10))[0] == "INVALID_ARGUMENT"


def test_the_llm_api_s_token_is_not_forwarded_and_envoy_s_own_is(scripted, start_gateway):
    service, address = scripted
    gateway = start_gateway("--target", address, "--grpc-listen", "127.0.0.1:0")
    request = json.dumps({"messages": MESSAGES}).encode()
    answer = json.dumps({"choices": [{"message": {"content": GOOD}}]}).encode()
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = ext_proc_pb2_grpc.ExternalProcessorStub(channel)
        calls = parts(request, answer, authorization="Bearer llm", tipstaff_caller="shop")
        list(stub.Process(calls, timeout=10))
        assert "authorization" not in service.metadata[-1]
        assert service.metadata[-1]["tipstaff-caller"] == "shop"
        calls = parts(request, answer, authorization="Bearer llm")
        list(stub.Process(calls, timeout=10, metadata=(("authorization", "Bearer own"),)))
        assert service.metadata[-1]["authorization"] == "Bearer own"
