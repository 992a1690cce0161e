"""Asks a gateway through each of its doors, as that protocol's callers do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import grpc.aio

from tipstaff import AsyncClient, Interaction, Score, Verdict
from tipstaff_gateway.stubs import ext_proc_pb2 as envoy_pb
from tipstaff_gateway.stubs import ext_proc_pb2_grpc, open_inference_pb2_grpc
from tipstaff_gateway.stubs import open_inference_pb2 as inference_pb

DEADLINE_SECONDS = 10.0
_ALLOWING = ("litellm", "envoy")
DOORS = (
    "native",
    "litellm",
    "nemo_classify",
    "nemo_predict",
    "nemo_contents",
    "kserve",
    "kserve_grpc",
    "envoy",
)


# What the replies of doors without a score say of one.
VERDICT_OF: Mapping[str, Callable[[Score], str]] = {
    "litellm": lambda score: str(score.verdict is Verdict.BLOCK),
    "envoy": lambda score: str(score.verdict is Verdict.BLOCK),
    "nemo_contents": lambda score: str(score.verdict is not Verdict.PASS),
}


def mapping_of(evaluator: str) -> str:
    """The gateway's mapping: REVIEW passes where it may; NeMo's other texts are headers."""
    allowed = "".join(f'[{each}]\nreview = "allow"\n' for each in _ALLOWING)
    return f"""{allowed}
[nemo]
evaluator = "{evaluator}"
input = ["header:tipstaff-input"]
ground_truth = ["header:tipstaff-ground-truth"]

[kserve]
evaluator = "{evaluator}"
"""


class Doors:
    """Asks through each door."""

    def __init__(
        self,
        client: AsyncClient,
        http: aiohttp.ClientSession,
        channel: grpc.aio.Channel,
        evaluator: str,
    ) -> None:
        self._client = client
        self._evaluator = evaluator
        self._http = http
        self._inference = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        self._processor = ext_proc_pb2_grpc.ExternalProcessorStub(channel)

    async def grpc(self, each: Interaction) -> float | str:
        """Tipstaff's own gRPC, without a gateway."""
        score = await self._client.score(
            input=each.input, output=each.output, ground_truth=each.ground_truth
        )
        assert score.score is not None
        return score.score

    async def native(self, each: Interaction) -> float | str:
        """The JSON of the proto."""
        body = {"input": each.input, "output": each.output, "ground_truth": each.ground_truth}
        return (await self._post("/v1/score", body))["score"]  # type: ignore[no-any-return]

    async def litellm(self, each: Interaction) -> float | str:
        """LiteLLM: prompt, then answer."""
        call_id = f"{id(each)}"
        path = "/beta/litellm_basic_guardrail_api"
        messages = _messages(each)
        await self._post(
            path,
            {
                "input_type": "request",
                "texts": [],
                "structured_messages": messages,
                "litellm_call_id": call_id,
            },
        )
        reply = await self._post(
            path,
            {"input_type": "response", "texts": [each.output], "litellm_call_id": call_id},
        )
        return str(reply["action"] == "BLOCKED")

    async def nemo_classify(self, each: Interaction) -> float | str:
        """NeMo Guardrails, in vLLM's form."""
        reply = await self._post("/classify", {"input": each.output}, each)
        return reply["data"][0]["tipstaff"]["score"]  # type: ignore[no-any-return]

    async def nemo_predict(self, each: Interaction) -> float | str:
        """NeMo Guardrails, in KServe's v1 form."""
        path = f"/v1/models/{self._evaluator}:predict"
        reply = await self._post(path, {"instances": [each.output]}, each)
        return reply["tipstaff"][0]["score"]  # type: ignore[no-any-return]

    async def nemo_contents(self, each: Interaction) -> float | str:
        """NeMo Guardrails, in the form of the FMS detectors: an answer that passes has no score."""
        reply = await self._post("/api/v1/text/contents", {"contents": [each.output]}, each)
        return str(bool(reply[0]))

    async def kserve(self, each: Interaction) -> float | str:
        """The Open Inference Protocol over HTTP."""
        reply = await self._post("/v2/models/evaluator/infer", {"inputs": _tensors(each)})
        return reply["outputs"][0]["data"][0]  # type: ignore[no-any-return]

    async def kserve_grpc(self, each: Interaction) -> float | str:
        """The Open Inference Protocol over gRPC."""
        request = inference_pb.ModelInferRequest()
        for tensor in _tensors(each):
            added = request.inputs.add(name=tensor["name"], datatype="BYTES", shape=[1])
            added.contents.bytes_contents.append(tensor["data"][0].encode())
        reply = await self._inference.ModelInfer(request, timeout=DEADLINE_SECONDS)
        return reply.outputs[0].contents.fp64_contents[0]  # type: ignore[no-any-return]

    async def envoy(self, each: Interaction) -> float | str:
        """Envoy's stream for one request and its answer."""

        async def parts() -> AsyncIterator[Any]:
            yield envoy_pb.ProcessingRequest(
                request_headers=_headers(**{":path": "/v1/chat/completions", ":method": "POST"})
            )
            prompt = json.dumps({"messages": _messages(each)}).encode()
            yield envoy_pb.ProcessingRequest(request_body=envoy_pb.HttpBody(body=prompt))
            yield envoy_pb.ProcessingRequest(response_headers=_headers(**{":status": "200"}))
            answer = json.dumps({"choices": [{"message": {"content": each.output}}]}).encode()
            yield envoy_pb.ProcessingRequest(response_body=envoy_pb.HttpBody(body=answer))

        async for reply in self._processor.Process(parts(), timeout=DEADLINE_SECONDS):
            last = reply
        return str(last.HasField("immediate_response"))

    async def _post(
        self, path: str, body: dict[str, Any], beside: Interaction | None = None
    ) -> Any:
        """Posts JSON; the input and the ground truth of `beside` are headers."""
        texts = beside and {"input": beside.input, "ground-truth": beside.ground_truth}
        headers = {f"tipstaff-{name}": text or "" for name, text in (texts or {}).items()}
        async with self._http.post(path, json=body, headers=headers) as response:
            response.raise_for_status()
            return await response.json()


def _messages(each: Interaction) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": each.input or ""},
        {"role": "tool", "content": each.ground_truth or ""},
    ]


def _tensors(each: Interaction) -> list[dict[str, Any]]:
    texts = {"input": each.input, "output": each.output, "ground_truth": each.ground_truth}
    return [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
        for name, text in texts.items()
        if text is not None
    ]


def _headers(**values: str) -> Any:
    pairs = [envoy_pb.HeaderValue(key=name, raw_value=v.encode()) for name, v in values.items()]
    return envoy_pb.HttpHeaders(headers=envoy_pb.HeaderMap(headers=pairs))
