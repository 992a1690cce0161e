"""The Open Inference Protocol, version 2, over gRPC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version as version_of
from typing import Any

import grpc.aio

from tipstaff_gateway.context import too_large
from tipstaff_gateway.doors.inference import (
    EXTENSIONS,
    OUTPUTS,
    PLATFORM,
    PROTOCOL,
    TEXTS,
    Tensor,
    check_datatype,
    find_model,
    infer,
    input_names,
)
from tipstaff_gateway.doors.raw_tensors import decode_texts, read_texts, write_values
from tipstaff_gateway.doors.rpc import context_of, headers_of, rpc_call
from tipstaff_gateway.doors.services import Services
from tipstaff_gateway.problems import invalid
from tipstaff_gateway.stubs import open_inference_pb2 as pb
from tipstaff_gateway.stubs import open_inference_pb2_grpc


class InferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers the protocol's calls."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ServerLive(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        """Whether the gateway is alive."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        """Whether the server behind the gateway answers."""
        return pb.ServerReadyResponse(ready=await self._services.upstream.is_ready())

    async def ServerMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        """The name and version."""
        return pb.ServerMetadataResponse(
            name="tipstaff", version=version_of("tipstaff"), extensions=EXTENSIONS
        )

    async def ModelReady(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        """Whether an evaluator is served."""
        async with rpc_call(self._services, PROTOCOL, context):
            ctx = context_of(self._services, context)
            await find_model(self._services, ctx, request.name, request.version)
        return pb.ModelReadyResponse(ready=True)

    async def ModelMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        """The tensors of an evaluator."""
        async with rpc_call(self._services, PROTOCOL, context):
            ctx = context_of(self._services, context)
            info = await find_model(self._services, ctx, request.name, request.version)
        tensor = pb.ModelMetadataResponse.TensorMetadata
        return pb.ModelMetadataResponse(
            name=request.name,
            versions=[str(info.version)],
            platform=PLATFORM,
            inputs=[tensor(name=each, datatype=TEXTS, shape=[-1]) for each in input_names(info)],
            outputs=[
                tensor(name=each, datatype=kind, shape=[-1]) for each, kind in OUTPUTS.items()
            ],
        )

    async def ModelInfer(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802
        """Scores interactions."""
        async with rpc_call(self._services, PROTOCOL, context):
            ctx = context_of(self._services, context)
            if request.ByteSize() > (limit := self._services.settings.max_body_bytes):
                raise too_large(limit)
            result = await infer(
                self._services,
                ctx,
                list(_tensors(request)),
                model=request.model_name,
                version=request.model_version,
                outputs=[each.name for each in request.outputs],
                headers=headers_of(context),
            )
        response = pb.ModelInferResponse(
            model_name=result.model, model_version=result.version, id=request.id
        )
        for name, values in result.values.items():
            output = response.outputs.add(name=name, datatype=OUTPUTS[name], shape=[len(values)])
            # Triton's client sends raw tensors, and can read scores from nothing else.
            if request.raw_input_contents:
                response.raw_output_contents.append(write_values(values))
            else:
                _fill(output.contents, values)
        return response


def _tensors(request: Any) -> Iterator[Tensor]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise invalid(f"raw_input_contents: {len(raw)} for {len(request.inputs)} inputs")
    for number, each in enumerate(request.inputs):
        check_datatype(each.name, each.datatype)
        contents = list(each.contents.bytes_contents)
        if raw and contents:
            raise invalid(f"inputs: {each.name!r} has contents beside raw_input_contents")
        texts = read_texts(raw[number], each.name) if raw else decode_texts(contents, each.name)
        yield Tensor(each.name, list(each.shape), texts)


def _fill(contents: Any, values: Sequence[float] | Sequence[str]) -> None:
    for value in values:
        if isinstance(value, str):
            contents.bytes_contents.append(value.encode())
        else:
            contents.fp64_contents.append(value)
