"""Triton's own client against the gateway, over HTTP and gRPC."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from conftest import BAD, FACTS, GOOD, QUESTION
from tritonclient.utils import InferenceServerException

TRANSPORTS = {"http": tritonclient.http, "grpc": tritonclient.grpc}


@pytest.fixture(params=TRANSPORTS)
def triton(request):
    """The client's module, and a client."""
    module = TRANSPORTS[request.param]
    address = os.environ["TIPSTAFF_GATEWAY_GRPC"]
    if request.param == "http":
        address = os.environ["TIPSTAFF_GATEWAY"].removeprefix("http://")
    client = module.InferenceServerClient(address)
    yield module, client
    client.close()


def inputs(module, *outputs, **options):
    texts = {"input": QUESTION, "output": None, "ground_truth": FACTS}
    tensors = []
    for name, text in texts.items():
        values = np.array([(text or each).encode() for each in outputs], dtype=np.object_)
        tensor = module.InferInput(name, [len(outputs)], "BYTES")
        tensor.set_data_from_numpy(values, **options)
        tensors.append(tensor)
    return tensors


def test_server_and_model_say_that_they_are_ready(triton):
    _, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("hours")


def member(value, name):
    """A member of the metadata: an object over HTTP, a message over gRPC."""
    return value[name] if isinstance(value, dict) else getattr(value, name)


def test_metadata(triton):
    _, client = triton
    server = client.get_server_metadata()
    assert member(server, "name") == "tipstaff"
    assert "binary_tensor_data" in member(server, "extensions")
    model = client.get_model_metadata("hours")
    names = [member(each, "name") for each in member(model, "inputs")]
    assert names == ["input", "output", "ground_truth"]
    assert {member(each, "datatype") for each in member(model, "inputs")} == {"BYTES"}


def test_scores_and_verdicts_as_arrays(triton):
    module, client = triton
    result = client.infer("hours", inputs(module, GOOD, BAD), request_id="7")
    scores = result.as_numpy("score")
    assert (scores.dtype, scores.shape) == (np.float64, (2,))
    assert list(result.as_numpy("verdict")) == [b"PASS", b"BLOCK"]
    assert member(result.get_response(), "id") == "7"
    chosen = [module.InferRequestedOutput("verdict")]
    only = client.infer("hours", inputs(module, BAD), outputs=chosen, model_version="0")
    assert list(only.as_numpy("verdict")) == [b"BLOCK"]
    assert only.as_numpy("score") is None


# Over gRPC there is one form.
@pytest.mark.parametrize("triton", ["http"], indirect=True)
def test_json_and_bytes_give_the_same(triton):
    module, client = triton
    raw = client.infer("hours", inputs(module, GOOD)).as_numpy("score")
    outputs = [module.InferRequestedOutput("score", binary_data=False)]
    plain = client.infer("hours", inputs(module, GOOD, binary_data=False), outputs=outputs)
    assert list(plain.as_numpy("score")) == list(raw)


def refusal(call):
    with pytest.raises(InferenceServerException) as caught:
        call()
    return str(caught.value)


def test_errors_are_the_client_s_own(triton):
    module, client = triton
    assert "nobody" in refusal(lambda: client.infer("nobody", inputs(module, GOOD)))
    assert "there is no model" in refusal(lambda: client.get_model_metadata("nobody"))
    number = module.InferInput("output", [1], "FP32")
    number.set_data_from_numpy(np.array([1], dtype=np.float32))
    assert "texts are BYTES" in refusal(lambda: client.infer("hours", [number]))
    wrong = inputs(module, GOOD)
    wrong[1].set_shape([2])
    assert refusal(lambda: client.infer("hours", wrong))
