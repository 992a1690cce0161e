"""Tipstaff's own door: the JSON of the proto, its errors, its limits."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import threading
import time
from concurrent import futures
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf import json_format
from opening_hours import BAD, FACTS, GOOD, NAME, QUESTION
from tools import require

from tipstaff import AsyncClient
from tipstaff.v1 import scoring_pb2 as pb

GOOD_REQUEST = {"input": QUESTION, "output": GOOD, "ground_truth": FACTS}
BAD_REQUEST = GOOD_REQUEST | {"output": BAD}


def problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    members = response.json()
    assert members["status"] == status
    return members


def comparable(message):
    """A response without what differs each time."""
    message.ClearField("timing")
    message.ClearField("request_id")
    return message


@pytest.mark.parametrize("request_json", [GOOD_REQUEST, BAD_REQUEST, {"output": GOOD}])
def test_the_answer_is_that_of_grpc(gateway, server, request_json):
    over_http = gateway.post("/v1/score", {**request_json, "explain": True})
    assert over_http.status_code == 200
    response = json_format.ParseDict(over_http.json(), pb.ScoreResponse())
    request = pb.ScoreRequest(**request_json, evaluator=NAME, explain=True)
    assert comparable(response) == comparable(server.stub().Score(request, timeout=5))
    assert over_http.json()["score"] == response.score


def test_names_may_be_in_camel_case_and_the_request_s_id_is_repeated(gateway):
    response = gateway.post("/v1/score", {"output": GOOD, "groundTruth": FACTS, "requestId": "7"})
    assert response.json()["request_id"] == "7"
    missing = [each for each in response.json()["coverage"] if not each["tokens_total"]]
    assert [each["field"] for each in missing] == ["input"]


def test_items_of_a_batch_fail_singly(gateway):
    response = gateway.post("/v1/score-batch", {"requests": [GOOD_REQUEST, {}, BAD_REQUEST]})
    first, second, third = response.json()["items"]
    assert first["response"]["verdict"] == "VERDICT_PASS"
    assert second["error"]["code"] == 3
    assert third["response"]["verdict"] == "VERDICT_BLOCK"


def test_evaluators(gateway):
    listed = gateway.get("/v1/evaluators").json()["evaluators"]
    assert NAME in [each["name"] for each in listed]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b'{"output": "a', "not JSON: Unterminated string"),
        (b"\xff", "not valid UTF-8"),
        (b"[1]", "must be a JSON object"),
        (b"[" * 15_000, "nested too deeply"),
        (b'{"output": NaN}', "NaN is not a number"),
        (b'{"output": "a", "output": "b"}', "the same member twice"),
        (b'{"output": 1}', "output"),
        (b'{"answer": "a"}', 'no field named "answer"'),
        (b'{"output": "a", "ground_truth": "b", "groundTruth": "c"}', "should not have multiple"),
        (b'{"output": "\\ud800"}', "surrogate"),
        (b'{"version": -1}', "out of range"),
        (b"{}", "absent"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(gateway, body, why):
    members = problem(gateway.post("/v1/score", body), 400)
    assert why in members["detail"]
    assert members["code"] == "INVALID_ARGUMENT"


def test_other_errors_have_their_statuses(gateway):
    unknown = problem(gateway.post("/v1/score", GOOD_REQUEST | {"evaluator": "x"}), 404)
    assert unknown["code"] == "NOT_FOUND"
    problem(gateway.post("/v1/score", GOOD_REQUEST | {"version": 9}), 404)
    problem(gateway.get("/v1/nothing"), 404)
    assert problem(gateway.get("/v1/score"), 405)["code"] == "UNIMPLEMENTED"
    problem(gateway.post("/v1/score", b"{}", headers={"content-encoding": "gzip"}), 415)
    problem(gateway.post("/v1/score", GOOD_REQUEST | {"output": "a " * 20_000}), 413)


def test_a_wrong_path_or_method_is_told_the_right_ones(gateway):
    """Once, the whole detail was "Not Found" or "Method Not Allowed"."""
    nothing = problem(gateway.get("/nothing"), 404)["detail"]
    assert nothing.startswith("there is no such path; there are GET /healthz, GET /readyz, ")
    for path in ("POST /v1/score, ", "POST /classify, ", "GET /v2/models/{model}, "):
        assert path in nothing
    near = problem(gateway.post("/v1/scores", GOOD_REQUEST), 404)["detail"]
    assert near.startswith("there is no such path; did you mean POST /v1/score? There are GET /")
    for method, path, allowed in (
        ("GET", "/v1/score", "POST"),
        ("DELETE", "/readyz", "GET"),
        ("PUT", "/v2/models/a/infer", "POST"),
    ):
        refused = gateway.http.request(method, path)
        detail = problem(refused, 405)["detail"]
        assert detail == f"the path has no such method; it has {allowed}"
        assert allowed in refused.headers["allow"]


@pytest.mark.parametrize(
    ("path", "body", "wrong", "known"),
    [
        ("/v1/score", {"answer": "a"}, "answer", "evaluator, version, input, output, "),
        ("/v1/score-batch", {"items": []}, "items", "requests"),
        (
            "/v1/score-batch",
            {"requests": [{"answer": "a"}]},
            "answer",
            "evaluator, version, input, output, ",
        ),
        ("/v1/feedback", {"id": "a"}, "id", "request_id, evaluator, good, source, note"),
    ],
)
def test_a_wrong_field_is_told_the_right_ones(gateway, path, body, wrong, known):
    detail = problem(gateway.post(path, body), 400)["detail"]
    assert f'has no field named "{wrong}"' in detail
    assert f" It has {known}" in detail
    assert detail.endswith(".")


def test_a_body_without_a_length_is_bounded_too(gateway):
    chunks = (b'{"output": "' + b"a" * 5_000 for _ in range(10))
    response = gateway.http.post("/v1/score", content=chunks)
    problem(response, 413)


def test_a_body_that_stops_midway_is_answered_in_time(gateway):
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        head = "POST /v1/score HTTP/1.1\r\nhost: a\r\ntipstaff-timeout-ms: 200\r\n"
        connection.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        assert b" 408 " in connection.recv(4096).split(b"\r\n")[0]
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
    # Nobody is left to answer, and the log stays quiet.
    assert gateway.post("/v1/score", GOOD_REQUEST).status_code == 200
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", "99999999999", ""])
def test_a_deadline_that_is_none_is_refused(gateway, value):
    response = gateway.post("/v1/score", GOOD_REQUEST, headers={"tipstaff-timeout-ms": value})
    assert "tipstaff-timeout-ms" in problem(response, 400)["detail"]


def test_feedback_is_about_the_gateway_s_evaluator_unless_it_names_one(scripted, start_gateway):
    """Once, it named none, which a server of several evaluators refuses."""
    service, address = scripted
    gateway = start_gateway("--target", address, "--evaluator", "support")
    for named in ({}, {"evaluator": "other"}):
        reply = gateway.post("/v1/feedback", {"request_id": "a", "good": True, **named})
        assert reply.json() == {"matches": 1}, reply.text
    assert [each.evaluator for each in service.feedback] == ["support", "other"]


def test_the_deadline_and_the_caller_reach_the_server(scripted_gateway):
    service, gateway = scripted_gateway
    sent = {
        "authorization": "Bearer abc",
        "tipstaff-caller": "shop",
        "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        "cookie": "secret=1",
        "tipstaff-timeout-ms": "700",
    }
    assert gateway.post("/v1/score", GOOD_REQUEST, headers=sent).status_code == 200
    told = service.metadata[-1]
    for name in ("authorization", "tipstaff-caller", "traceparent"):
        assert told[name] == sent[name]
    assert "cookie" not in told
    assert 0.2 < service.remaining[-1] < 0.9
    gateway.post("/v1/score", GOOD_REQUEST)
    assert 1 < service.remaining[-1] < 2.2
    bad = gateway.post("/v1/score", GOOD_REQUEST, headers={"tipstaff-caller": "é".encode()})
    assert "tipstaff-caller" in problem(bad, 400)["detail"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403),
        ("UNIMPLEMENTED", 501),
        ("RESOURCE_EXHAUSTED", 503),
        ("UNAVAILABLE", 503),
        ("DEADLINE_EXCEEDED", 504),
        ("FAILED_PRECONDITION", 504),
        ("INTERNAL", 502),
        ("UNKNOWN", 502),
    ],
)
def test_the_server_s_refusals_have_their_statuses(refuse, code, status):
    # No retries: the server pushes back.
    response = refuse(code, "-1" if code == "UNAVAILABLE" else "").post("/v1/score", GOOD_REQUEST)
    assert problem(response, status)["code"] == code


def test_overload_says_when_to_try_again(refuse):
    response = refuse("RESOURCE_EXHAUSTED", "1500").post("/v1/score", GOOD_REQUEST)
    problem(response, 503)
    assert response.headers["retry-after"] == "2"


def test_without_a_server_it_is_alive_and_not_ready(start_gateway):
    gateway = start_gateway("--target", "127.0.0.1:9", "--timeout", 1)
    assert problem(gateway.post("/v1/score", GOOD_REQUEST), 503)["code"] == "UNAVAILABLE"
    assert gateway.get("/healthz").status_code == 200
    for path in ("/readyz", "/v2/health/ready"):
        refused = gateway.get(path)
        assert refused.status_code == 503
        assert "no server ready at 127.0.0.1:9, " in refused.text
        assert "Connection refused" in refused.text
    assert gateway.get("/readyz").text.count("\n") == 1
    assert gateway.stop() == 0


NOT_SERVING = b"\x08\x02"


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (NOT_SERVING, "says NOT_SERVING: it is loading or stopping, or nothing is promoted"),
        (None, "no answer from {} within 1 s"),
    ],
)
def test_readiness_says_why_and_of_which_server(start_gateway, answers, why):
    """Once, it said only that the server is not ready."""

    def check(request, context):
        if answers is None:
            time.sleep(3)
        return answers or b""

    running = grpc.server(futures.ThreadPoolExecutor(4))
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    running.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)]
    )
    address = f"127.0.0.1:{running.add_insecure_port('127.0.0.1:0')}"
    running.start()
    try:
        refused = start_gateway("--target", address).get("/readyz")
    finally:
        running.stop(0).wait()
    assert refused.status_code == 503
    assert refused.text.startswith("not ready: ")
    assert address in refused.text
    assert why.format(address) in refused.text


def test_health_and_metrics(gateway):
    gateway.post("/v1/score", GOOD_REQUEST)
    assert gateway.get("/readyz").status_code == 200
    text = gateway.get("/metrics").text
    assert 'tipstaff_gateway_request_duration_seconds_count{door="native",status="200"}' in text


def test_more_than_the_limit_at_a_time_is_refused(server, start_gateway):
    gateway = start_gateway("--target", server.address, "--max-calls", 1, "--timeout", 5)
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as holder:
        holder.sendall(b"POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{")
        time.sleep(0.3)
        refused = gateway.post("/v1/score", GOOD_REQUEST)
        assert problem(refused, 503)["code"] == "RESOURCE_EXHAUSTED"
        assert refused.headers["retry-after"] == "1"
        assert gateway.get("/healthz").status_code == 200
    time.sleep(0.3)
    assert gateway.post("/v1/score", GOOD_REQUEST | {"evaluator": NAME}).status_code == 200


def test_the_description_is_that_of_the_routes(gateway):
    described = gateway.get("/openapi.json").json()
    for path, verbs in described["paths"].items():
        for verb in verbs:
            assert gateway.http.request(verb, path).status_code not in (404, 405)
    methods = {each.name for each in pb.DESCRIPTOR.services_by_name["ScoringService"].methods}
    assert methods == {
        each["operationId"] for v in described["paths"].values() for each in v.values()
    }
    schema = described["components"]["schemas"]["ScoreResponse"]
    assert set(schema["properties"]) == {each.name for each in pb.ScoreResponse.DESCRIPTOR.fields}
    names = set(described["components"]["schemas"])
    assert {each.rpartition("/")[2] for each in _references(described)} <= names
    page = gateway.get("/docs").text
    assert "/v1/score" in page
    assert "http:" not in page
    assert "https:" not in page


def _references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)


def test_every_answer_of_many_at_a_time_is_its_own(gateway, server):
    outputs = [GOOD, BAD, "yes open", "no parcel today please"] * 8
    stub = server.stub()
    expected = [
        stub.Score(pb.ScoreRequest(evaluator=NAME, input=QUESTION, output=each), timeout=5).score
        for each in outputs[:4]
    ] * 8
    scores = [0.0] * len(outputs)

    def ask(number):
        body = {"input": QUESTION, "output": outputs[number]}
        scores[number] = gateway.post("/v1/score", body).json()["score"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(outputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == expected


def test_no_text_is_in_the_log_or_the_metrics(gateway):
    secret = "zebrafish"
    gateway.post("/v1/score", {"output": secret})
    gateway.post("/v1/score", json.dumps({secret: 1}).encode())
    gateway.post("/classify", {"input": secret})
    assert secret not in gateway.log
    assert secret not in gateway.get("/metrics").text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "chain.pem"
    subprocess.run(
        [
            *(require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", chain, "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return key, chain


def test_tls(server, start_gateway, certificate):
    key, chain = certificate
    gateway = start_gateway(
        *("--target", server.address, "--tls-certificate", chain, "--tls-key", key),
        verify=ssl.create_default_context(cafile=str(chain)),
    )
    assert gateway.url.startswith("https://")
    assert gateway.post("/v1/score", GOOD_REQUEST | {"evaluator": NAME}).status_code == 200


def test_a_message_is_forwarded_as_it_is(server):
    async def forward():
        async with AsyncClient(server.address, on_failure="open") as client:
            request = pb.ScoreRequest(evaluator=NAME, output=GOOD, request_id="9")
            return await client.forward("Score", request, timeout=5, metadata=(("a", "b"),))

    response = asyncio.run(forward())
    assert isinstance(response, pb.ScoreResponse)
    assert response.request_id == "9"


def test_replies_do_not_wait_for_acknowledgements(gateway):
    seconds = []
    for _ in range(30):
        started = time.monotonic()
        gateway.get("/v2/health/live")
        gateway.post("/v1/score", {})
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.04
