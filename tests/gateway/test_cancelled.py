"""What a caller no longer waits for is not computed: the server's call ends with the caller's."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import grpc
import pytest
from envoy_parts import parts
from running_server import wait_until

from tipstaff_gateway.stubs import ext_proc_pb2_grpc, open_inference_pb2_grpc
from tipstaff_gateway.stubs import open_inference_pb2 as pb

TENSOR = {"name": "output", "shape": [1], "datatype": "BYTES", "data": ["a"]}
DOORS = {
    "/v1/score": {"output": "a"},
    "/beta/litellm_basic_guardrail_api": {"input_type": "response", "texts": ["a"]},
    "/classify": {"input": "a"},
    "/v2/models/m/infer": {"inputs": [TENSOR]},
}


@pytest.fixture
def hanging(scripted_gateway):
    """A gateway before a server that doesn't answer."""
    service, gateway = scripted_gateway
    service.hangs = True
    yield service, gateway
    service.hangs = False
    wait_until(lambda: service.waiting == 0)


@pytest.mark.parametrize("path", DOORS)
def test_a_caller_over_http_who_leaves_takes_the_server_s_call_along(hanging, path):
    service, gateway = hanging
    address = urlsplit(gateway.url)
    body = json.dumps(DOORS[path]).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ntipstaff-timeout-ms: 50000\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: service.waiting == 1)
    wait_until(lambda: service.waiting == 0, 5)
    wait_until(lambda: 'status="499"' in gateway.get("/metrics").text)
    assert "Traceback" not in gateway.log


def test_a_deadline_that_passes_ends_both_calls(hanging):
    service, gateway = hanging
    response = gateway.post("/v1/score", {"output": "a"}, headers={"tipstaff-timeout-ms": "300"})
    assert response.status_code == 504
    wait_until(lambda: service.waiting == 0, 5)


def infer(channel):
    request = pb.ModelInferRequest(model_name="m")
    tensor = request.inputs.add(name="output", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(b"a")
    return open_inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer.future(
        request, timeout=50
    )


def process(channel):
    answer = json.dumps({"choices": [{"message": {"content": "a"}}]}).encode()
    calls = parts(b"{}", answer, tipstaff_timeout_ms="50000")
    return ext_proc_pb2_grpc.ExternalProcessorStub(channel).Process(calls, timeout=50)


@pytest.mark.parametrize("start", [infer, process])
def test_a_caller_over_grpc_who_leaves_takes_the_server_s_call_along(hanging, start):
    service, gateway = hanging
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        call = start(channel)
        wait_until(lambda: service.waiting == 1)
        call.cancel()
        wait_until(lambda: service.waiting == 0, 5)
    wait_until(lambda: 'status="CANCELLED"' in gateway.get("/metrics").text)
    assert "Traceback" not in gateway.log
