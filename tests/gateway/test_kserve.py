"""The Open Inference Protocol, over HTTP and gRPC."""

from __future__ import annotations

import json
import struct

import grpc
import pytest
from opening_hours import BAD, FACTS, GOOD, NAME, QUESTION, WORDS

from tipstaff_gateway.stubs import open_inference_pb2 as pb
from tipstaff_gateway.stubs import open_inference_pb2_grpc

INFER = f"/v2/models/{NAME}/infer"


def tensor(name, *texts, **members):
    data = list(texts)
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data} | members


def body(*outputs, **members):
    count = len(outputs)
    return {
        "inputs": [
            tensor("input", *[QUESTION] * count),
            tensor("output", *outputs),
            tensor("ground_truth", *[FACTS] * count),
        ],
        **members,
    }


def columns(response):
    assert response.status_code == 200, response.text
    return {each["name"]: each["data"] for each in response.json()["outputs"]}


def message(*outputs, model=NAME, **members):
    request = pb.ModelInferRequest(model_name=model, **members)
    for name, text in (("input", QUESTION), ("output", None), ("ground_truth", FACTS)):
        added = request.inputs.add(name=name, datatype="BYTES", shape=[len(outputs), 1])
        texts = [text or each for each in outputs]
        added.contents.bytes_contents.extend(each.encode() for each in texts)
    return request


@pytest.fixture(scope="module")
def stub(gateway):
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        yield open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)


def refused(call, request, code, why):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=10)
    assert caught.value.code().name == code
    assert why in caught.value.details()


def test_scores_over_both_transports_are_those_of_the_native_door(gateway, stub):
    native = [
        gateway.post("/v1/score", {"input": QUESTION, "output": each, "ground_truth": FACTS})
        for each in (GOOD, BAD)
    ]
    expected = [each.json()["score"] for each in native]
    found = columns(gateway.post(INFER, body(GOOD, BAD)))
    assert found["score"] == expected
    assert found["verdict"] == ["PASS", "BLOCK"]
    reply = stub.ModelInfer(message(GOOD, BAD, id="7"), timeout=10)
    assert list(reply.outputs[0].contents.fp64_contents) == expected
    assert list(reply.outputs[1].contents.bytes_contents) == [b"PASS", b"BLOCK"]
    assert (reply.id, reply.model_name) == ("7", NAME)


def test_raw_contents_are_read(stub):
    request = message(GOOD)
    for each in request.inputs:
        text = each.contents.bytes_contents[0]
        request.raw_input_contents.append(struct.pack("<I", len(text)) + text)
        each.ClearField("contents")
    reply = stub.ModelInfer(request, timeout=10)
    # And answered in the same form, as Triton's client expects.
    assert [len(each.contents.bytes_contents) for each in reply.outputs] == [0] * 4
    as_texts = stub.ModelInfer(message(GOOD), timeout=10)
    scores = as_texts.outputs[0].contents.fp64_contents
    assert struct.unpack("<d", reply.raw_output_contents[0]) == tuple(scores)
    assert reply.raw_output_contents[1] == raw_text("PASS")


def test_a_column_may_come_nested_and_outputs_may_be_chosen(gateway):
    nested = tensor("output", shape=[2, 1], data=[[GOOD], [BAD]])
    request = {"id": "a", "inputs": [nested], "outputs": [{"name": "verdict"}]}
    response = gateway.post(f"/v2/models/{WORDS}/versions/0/infer", request)
    assert columns(response) == {"verdict": ["PASS", "BLOCK"]}
    assert response.json()["id"] == "a"


def test_a_missing_tensor_is_never_a_pass(gateway, stub):
    found = columns(gateway.post(INFER, {"inputs": [tensor("output", GOOD)]}))
    assert found["verdict"] != ["PASS"]
    assert "MISSING_FIELD" in found["reasons"][0]
    request = message(GOOD)
    del request.inputs[2]
    reply = stub.ModelInfer(request, timeout=10)
    assert b"MISSING_FIELD" in reply.outputs[2].contents.bytes_contents[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"inputs": []}, "at least one tensor"),
        ({"inputs": "text"}, "inputs: must be a list"),
        ({"inputs": ["text"]}, "inputs: must hold objects"),
        ({"inputs": [tensor("output", GOOD, datatype="FP32")]}, "datatype 'FP32'"),
        ({"inputs": [tensor("output", GOOD, shape=[2])]}, "1 texts, and a shape of 2"),
        ({"inputs": [tensor("output", GOOD, shape=[1, 2])]}, "[n] or [n, 1]"),
        ({"inputs": [tensor("output", GOOD, shape="1")]}, "needs a shape"),
        ({"inputs": [tensor("output", GOOD, shape=[True])]}, "needs a shape"),
        ({"inputs": [tensor("output", GOOD, data=[1])]}, "needs data"),
        ({"inputs": [tensor("output", GOOD), tensor("output", BAD)]}, "given twice"),
        ({"inputs": [tensor("output", GOOD), tensor("input", "a", "b")]}, "as many texts"),
        ({"outputs": [{"name": "logit"}]}, "no 'logit'"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(gateway, change, why):
    response = gateway.post(INFER, body(GOOD) | change)
    assert response.status_code == 400
    assert why in response.json()["error"]


def test_errors_are_in_the_protocol_s_own_form(gateway):
    cut = gateway.post(INFER, b'{"inputs": [')
    assert (cut.status_code, list(cut.json())) == (400, ["error"])
    large = gateway.post(INFER, body(GOOD * 3_000))
    assert (large.status_code, list(large.json())) == (413, ["error"])
    for path in ("/v2/models/nobody", "/v2/models/nobody/ready", f"/v2/models/{NAME}/versions/x"):
        assert gateway.get(path).status_code == 404
    assert gateway.post("/v2/models/nobody/infer", body(GOOD)).status_code == 404


def binary(inputs, raw, length=None, **members):
    described = json.dumps({"inputs": inputs, **members}).encode()
    header = {"inference-header-content-length": str(len(described) if length is None else length)}
    return {"body": described + raw, "headers": header}


def raw_text(text):
    return struct.pack("<I", len(text)) + text.encode()


def raw_inputs(*names, **members):
    return [
        {"name": name, "datatype": "BYTES", "shape": [1], **members}
        | {"parameters": {"binary_data_size": len(raw_text(text))}}
        for name, text in names
    ]


def test_tensors_may_come_and_go_as_bytes(gateway):
    texts = (("input", QUESTION), ("output", BAD), ("ground_truth", FACTS))
    raw = b"".join(raw_text(text) for _, text in texts)
    everything = {"parameters": {"binary_data_output": True}}
    response = gateway.post(INFER, **binary(raw_inputs(*texts), raw, **everything))
    assert response.status_code == 200, response.text
    length = int(response.headers["inference-header-content-length"])
    outputs = json.loads(response.content[:length])["outputs"]
    sizes = [each["parameters"]["binary_data_size"] for each in outputs]
    assert length + sum(sizes) == len(response.content)
    (score,) = struct.unpack("<d", response.content[length : length + 8])
    as_json = columns(gateway.post(INFER, body(BAD)))
    assert score == as_json["score"][0]
    start = length + 8
    assert response.content[start : start + sizes[1]] == raw_text("BLOCK")
    # One output of two, and inputs as JSON.
    chosen = [{"name": "score"}, {"name": "verdict", "parameters": {"binary_data": True}}]
    mixed = gateway.post(INFER, body(BAD) | {"outputs": chosen})
    assert mixed.content.endswith(raw_text("BLOCK"))
    assert (
        as_json["score"][0]
        == json.loads(mixed.content[: int(mixed.headers["inference-header-content-length"])])[
            "outputs"
        ][0]["data"][0]
    )


@pytest.mark.parametrize(
    ("request_of", "why"),
    [
        (binary([], b"", length=900), "must be the length"),
        (binary([], b"", length="x"), "must be the length"),
        (binary(raw_inputs(("output", GOOD)), b"abc"), "that the body doesn't have"),
        (binary(raw_inputs(("output", GOOD)), raw_text(GOOD) + b"a"), "1 bytes that belong to no"),
        (binary(raw_inputs(("output", GOOD), data=["a"]), raw_text(GOOD)), "data beside"),
        (binary(raw_inputs(("output", "ab")), b"\xff\0\0\0ab"), "ends within a text"),
        (binary(raw_inputs(("output", "ab")), b"\2\0\0\0\xff\xff"), "not UTF-8"),
    ],
)
def test_what_is_wrong_with_bytes_is_said(gateway, request_of, why):
    response = gateway.post(INFER, **request_of)
    assert response.status_code == 400
    assert why in response.json()["error"]


def test_errors_over_grpc_have_statuses(stub):
    request = message(GOOD)
    request.inputs[0].datatype = "INT64"
    refused(stub.ModelInfer, request, "INVALID_ARGUMENT", "datatype 'INT64'")
    refused(stub.ModelInfer, message(GOOD, model="nobody"), "NOT_FOUND", "nobody")
    bad = message(GOOD)
    bad.inputs[1].contents.bytes_contents[0] = b"\xff"
    refused(stub.ModelInfer, bad, "INVALID_ARGUMENT", "not UTF-8")
    bad = message(GOOD)
    bad.raw_input_contents.extend([b"", b"", b""])
    refused(stub.ModelInfer, bad, "INVALID_ARGUMENT", "beside raw_input_contents")
    for each in bad.inputs:
        each.ClearField("contents")
    bad.raw_input_contents[:] = [b"\x09\0\0\0abc"] * 3
    refused(stub.ModelInfer, bad, "INVALID_ARGUMENT", "ends within a text")
    bad.raw_input_contents[:] = [b"\x09"] * 3
    refused(stub.ModelInfer, bad, "INVALID_ARGUMENT", "ends within a length")
    large = message("a" * 30_000)
    refused(stub.ModelInfer, large, "RESOURCE_EXHAUSTED", "larger than 20000 bytes")
    refused(stub.ModelInfer, message("a" * 100_000), "RESOURCE_EXHAUSTED", "larger than max")
    refused(stub.ModelReady, pb.ModelReadyRequest(name="nobody"), "NOT_FOUND", "nobody")


def test_metadata_and_health(gateway, stub):
    described = gateway.get(f"/v2/models/{WORDS}").json()
    assert [each["name"] for each in described["inputs"]] == ["output"]
    over_grpc = stub.ModelMetadata(pb.ModelMetadataRequest(name=WORDS), timeout=10)
    assert [each.name for each in over_grpc.outputs] == [
        each["name"] for each in described["outputs"]
    ]
    assert gateway.get("/v2").json()["name"] == "tipstaff"
    assert stub.ServerMetadata(pb.ServerMetadataRequest(), timeout=10).name == "tipstaff"
    assert gateway.get("/v2/health/live").json() == {"live": True}
    assert gateway.get("/v2/health/ready").json() == {"ready": True}
    assert gateway.get(f"/v2/models/{NAME}/ready").status_code == 200
    assert stub.ServerLive(pb.ServerLiveRequest(), timeout=10).live
    assert stub.ServerReady(pb.ServerReadyRequest(), timeout=10).ready
    assert stub.ModelReady(pb.ModelReadyRequest(name=NAME), timeout=10).ready
