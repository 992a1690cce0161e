"""What holds at every door: a missing field never passes, and what is no text is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import pytest
from envoy_parts import parts
from opening_hours import FACTS, GOOD, NAME, QUESTION

from tipstaff_gateway.stubs import ext_proc_pb2_grpc, open_inference_pb2_grpc
from tipstaff_gateway.stubs import open_inference_pb2 as pb

LITELLM = "/beta/litellm_basic_guardrail_api"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}


class Reply(NamedTuple):
    """Whether an answer passes, and all that is said about it."""

    passes: bool
    text: str


@pytest.fixture(scope="module")
def lenient(server, start_shared_gateway, tmp_path_factory):
    """A gateway that lets everything through that its mapping may let through."""
    mapping = tmp_path_factory.mktemp("lenient") / "mapping.toml"
    mapping.write_text(
        "".join(f'[{each}]\nreview = "allow"\n' for each in ("litellm", "envoy", "kserve"))
        + '[nemo]\nreview = "allow"\ninput = ["header:question"]\n'
    )
    return start_shared_gateway(
        *("--target", server.address, "--grpc-listen", "127.0.0.1:0", "--evaluator", NAME),
        *("--timeout", 10, "--mapping", mapping),
    )


def messages(facts: str | None, *others: Any) -> list[dict[str, Any]]:
    asked: Any = [{"type": "text", "text": QUESTION}, *others] if others else QUESTION
    tool = [] if facts is None else [{"role": "tool", "content": facts}]
    return [{"role": "user", "content": asked}, *tool]


def native(gateway: Any, facts: str | None) -> Reply:
    body = {"input": QUESTION, "output": GOOD} | ({} if facts is None else {"ground_truth": facts})
    found = gateway.post("/v1/score", body)
    return Reply(found.json()["verdict"] == "VERDICT_PASS", found.text)


def litellm(gateway: Any, facts: str | None, *others: Any, **answer: Any) -> Reply:
    sent = {"litellm_call_id": f"{facts}{len(others)}", "texts": []}
    prompt = {"input_type": "request", "structured_messages": messages(facts, *others)}
    gateway.post(LITELLM, sent | prompt)
    found = gateway.post(LITELLM, sent | {"input_type": "response", "texts": [GOOD]} | answer)
    return Reply(found.json()["action"] == "NONE", found.text)


def nemo(
    path: str, body: Callable[[str], dict[str, Any]], gateway: Any, facts: str | None
) -> Reply:
    headers = {"question": QUESTION}
    headers |= {} if facts is None else {"tipstaff-ground-truth": facts}
    found = gateway.post(path, body(GOOD), headers=headers)
    assert found.status_code == 200, found.text
    blocked = '"BLOCK": 1.0' in found.text or '"label":"BLOCK"' in found.text
    blocked |= '"BLOCK":1.0' in found.text or '"detection_type":"BLOCK"' in found.text
    return Reply(not blocked, found.text)


def vllm(gateway: Any, facts: str | None) -> Reply:
    return nemo("/classify", lambda text: {"input": text, "model": NAME}, gateway, facts)


def kserve_v1(gateway: Any, facts: str | None) -> Reply:
    path = f"/v1/models/{NAME}:predict"
    return nemo(path, lambda text: {"instances": [text]}, gateway, facts)


def fms(gateway: Any, facts: str | None) -> Reply:
    return nemo("/api/v1/text/contents", lambda text: {"contents": [text]}, gateway, facts)


def kserve(gateway: Any, facts: str | None) -> Reply:
    texts = {"input": QUESTION, "output": GOOD, "ground_truth": facts}
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
        for name, text in texts.items()
        if text is not None
    ]
    found = gateway.post(f"/v2/models/{NAME}/infer", {"inputs": tensors})
    return Reply(found.json()["outputs"][1]["data"] == ["PASS"], found.text)


def kserve_grpc(gateway: Any, facts: str | None) -> Reply:
    request = pb.ModelInferRequest(model_name=NAME)
    for name, text in (("input", QUESTION), ("output", GOOD), ("ground_truth", facts)):
        if text is not None:
            tensor = request.inputs.add(name=name, datatype="BYTES", shape=[1])
            tensor.contents.bytes_contents.append(text.encode())
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        found = stub.ModelInfer(request, timeout=10)
    return Reply(found.outputs[1].contents.bytes_contents[0] == b"PASS", str(found))


def envoy(gateway: Any, facts: str | None, *others: Any, **answer: Any) -> Reply:
    request = json.dumps({"messages": messages(facts, *others)}).encode()
    message = {"content": GOOD} | answer
    body = json.dumps({"choices": [{"message": message}]}).encode()
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub = ext_proc_pb2_grpc.ExternalProcessorStub(channel)
        last = list(stub.Process(parts(request, body), timeout=10))[-1]
    return Reply(last.HasField("response_body"), str(last))


# What is absent, and what is blank where a protocol can say so: the native door passes a blank text
# on as one, and headers can't be blank.
ABSENT = (None,)
EMPTY = (None, "")
BLANK = (None, "", "  ")


@pytest.mark.parametrize(
    ("ask", "absent"),
    [
        (native, ABSENT),
        (litellm, BLANK),
        (vllm, EMPTY),
        (kserve_v1, EMPTY),
        (fms, EMPTY),
        (kserve, BLANK),
        (kserve_grpc, BLANK),
        (envoy, BLANK),
    ],
)
def test_a_missing_field_never_passes_and_is_named(lenient, ask, absent):
    whole = ask(lenient, FACTS)
    assert whole.passes, whole.text
    for facts in absent:
        reply = ask(lenient, facts)
        assert not reply.passes, reply.text
        assert "MISSING_FIELD" in reply.text


@pytest.mark.parametrize("ask", [litellm, envoy])
@pytest.mark.parametrize(("part", "kind"), [(IMAGE, "image"), (AUDIO, "audio")])
def test_images_and_audio_in_a_question_are_named_as_not_read(gateway, ask, part, kind):
    reply = ask(gateway, FACTS, part)
    assert not reply.passes
    assert f"not read: {kind}" in reply.text


def test_images_and_audio_in_an_answer_are_named_as_not_read(gateway):
    for reply, kind in (
        (litellm(gateway, FACTS, images=["AA=="]), "image"),
        (envoy(gateway, FACTS, audio={"data": "AA=="}), "audio"),
        (envoy(gateway, FACTS, images=[IMAGE]), "image"),
        (envoy(gateway, FACTS, content=[{"type": "text", "text": GOOD}, IMAGE]), "image"),
    ):
        assert not reply.passes
        assert f"not read: {kind}" in reply.text


def test_what_is_no_text_is_refused_where_a_protocol_has_texts_alone(gateway):
    for path, body in (
        ("/classify", {"input": [IMAGE]}),
        ("/api/v1/text/contents", {"contents": [IMAGE]}),
        (f"/v1/models/{NAME}:predict", {"instances": [{"image": {"b64": "AA=="}}]}),
    ):
        refused = gateway.post(path, body)
        assert refused.status_code == 400
        assert "must be a list of texts" in refused.json()["detail"]
    pixels = {"name": "output", "shape": [1], "datatype": "UINT8", "data": ["AA=="]}
    refused = gateway.post(f"/v2/models/{NAME}/infer", {"inputs": [pixels]})
    assert "'UINT8'; texts are BYTES" in refused.json()["error"]
