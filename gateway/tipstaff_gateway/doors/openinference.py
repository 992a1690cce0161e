"""The Open Inference Protocol, version 2, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from importlib.metadata import version as version_of
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tipstaff_gateway.context import RequestContext, parse_json
from tipstaff_gateway.doors.inference import (
    EXTENSIONS,
    OUTPUTS,
    PLATFORM,
    PROTOCOL,
    TEXTS,
    Inference,
    Tensor,
    check_datatype,
    find_model,
    infer,
    input_names,
)
from tipstaff_gateway.doors.raw_tensors import read_texts, write_values
from tipstaff_gateway.doors.services import Handler, Services
from tipstaff_gateway.problems import ProblemError, invalid, retry_headers

# The length of the JSON in a body where tensors follow as bytes.
_HEADER_LENGTH = "inference-header-content-length"


def routes(services: Services) -> list[Route]:
    """The routes of this door."""

    async def server(request: Request, ctx: RequestContext) -> Response:
        return JSONResponse(
            {
                "name": "tipstaff",
                "version": version_of("tipstaff"),
                "extensions": list(EXTENSIONS),
            }
        )

    async def live(request: Request, ctx: RequestContext) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request, ctx: RequestContext) -> Response:
        if why := await services.upstream.why_not_ready():
            raise ProblemError(503, why, code="UNAVAILABLE")
        return JSONResponse({"ready": True})

    async def model(request: Request, ctx: RequestContext) -> Response:
        name, version = _named(request)
        info = await find_model(services, ctx, name, version)
        return JSONResponse(
            {
                "name": name,
                "versions": [str(info.version)],
                "platform": PLATFORM,
                "inputs": [
                    {"name": each, "datatype": TEXTS, "shape": [-1]} for each in input_names(info)
                ],
                "outputs": [
                    {"name": each, "datatype": kind, "shape": [-1]}
                    for each, kind in OUTPUTS.items()
                ],
            }
        )

    async def model_ready(request: Request, ctx: RequestContext) -> Response:
        name, version = _named(request)
        await find_model(services, ctx, name, version)
        return JSONResponse({"name": name, "ready": True})

    async def model_infer(request: Request, ctx: RequestContext) -> Response:
        name, version = _named(request)
        described, raw = _split(ctx.body, request.headers.get(_HEADER_LENGTH))
        body = parse_json(described)
        outputs = [_object(each, "outputs") for each in _list(body, "outputs")]
        result = await infer(
            services,
            ctx,
            _tensors(_list(body, "inputs"), raw),
            model=name,
            version=version,
            outputs=[str(each.get("name")) for each in outputs],
            headers={key.lower(): value for key, value in request.headers.items()},
        )
        reply: dict[str, Any] = {"model_name": result.model, "model_version": result.version}
        if isinstance(body.get("id"), str):
            reply["id"] = body["id"]
        # An output's own setting overrides the one for all outputs.
        usual = _parameter(body, "binary_data_output")
        own = {str(each.get("name")): _parameter(each, "binary_data") for each in outputs}
        binary = {n for n in result.values if (usual if own.get(n) is None else own[n])}
        return _infer_response(reply, result, binary)

    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        return services.route(path, PROTOCOL, handler, methods=(method,), render=render)

    found = [
        route("/v2", server),
        route("/v2/health/live", live),
        route("/v2/health/ready", ready),
    ]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [
            route(path, model),
            route(f"{path}/ready", model_ready),
            route(f"{path}/infer", model_infer, "POST"),
        ]
    return found


def render(problem: ProblemError) -> Response:
    """An error as the protocol has it."""
    headers = retry_headers(problem)
    return JSONResponse({"error": problem.detail}, status_code=problem.status, headers=headers)


def _infer_response(reply: dict[str, Any], result: Inference, binary: Set[str]) -> Response:
    """The reply to an inference, whose `binary` outputs follow its JSON as bytes."""
    tensors: list[dict[str, Any]] = []
    contents: list[bytes] = []
    for name, values in result.values.items():
        tensor = {"name": name, "datatype": OUTPUTS[name], "shape": [len(values)]}
        if name in binary:
            contents.append(write_values(values))
            tensors.append(tensor | {"parameters": {"binary_data_size": len(contents[-1])}})
        else:
            tensors.append(tensor | {"data": list(values)})
    reply["outputs"] = tensors
    if not contents:
        return JSONResponse(reply)
    described = json.dumps(reply).encode()
    return Response(
        b"".join((described, *contents)),
        media_type="application/octet-stream",
        headers={_HEADER_LENGTH: str(len(described))},
    )


def _split(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """The JSON of a body, and the tensors that follow it as bytes.

    Args:
        body: The body.
        length: The length of its JSON, as its header has it; None for all of it.
    """
    if length is None:
        return body, b""
    number = int(length) if length.isascii() and length.isdigit() and len(length) < 12 else -1
    if not 0 <= number <= len(body):
        raise invalid(f"header {_HEADER_LENGTH}: must be the length of the body's JSON")
    return body[:number], body[number:]


def _tensors(inputs: Sequence[Any], raw: bytes) -> list[Tensor]:
    tensors: list[Tensor] = []
    position = 0
    for value in inputs:
        each = _object(value, "inputs")
        name, size = each.get("name"), _parameter(each, "binary_data_size")
        if not isinstance(name, str):
            raise invalid("inputs: each tensor needs a name")
        check_datatype(name, each.get("datatype"))
        if size is None:
            tensors.append(_tensor(name, each, _flat(each.get("data"))))
            continue
        if type(size) is not int or not 0 <= size <= len(raw) - position:
            raise invalid(f"inputs: {name!r} has a binary_data_size that the body doesn't have")
        if each.get("data") is not None:
            raise invalid(f"inputs: {name!r} has data beside its binary data")
        texts = read_texts(raw[position : position + size], name)
        tensors.append(_tensor(name, each, texts))
        position += size
    if position != len(raw):
        raise invalid(f"the body has {len(raw) - position} bytes that belong to no tensor")
    return tensors


def _parameter(value: Mapping[str, Any], name: str) -> Any:
    parameters = value.get("parameters")
    return parameters.get(name) if isinstance(parameters, Mapping) else None


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["model"], request.path_params.get("version", "")


def _tensor(name: str, each: Mapping[str, Any], texts: list[str] | None) -> Tensor:
    shape = each.get("shape")
    if not isinstance(shape, list) or not all(type(length) is int for length in shape):
        raise invalid(f"inputs: {name!r} needs a shape, a list of whole numbers")
    if texts is None:
        raise invalid(f"inputs: {name!r} needs data, a list of texts")
    return Tensor(name, shape, texts)


def _flat(data: Any) -> list[str] | None:
    """The texts of [n] or [n, 1], which may come nested; None for anything else."""
    if not isinstance(data, list):
        return None
    flat = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]
    return flat if all(isinstance(each, str) for each in flat) else None


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = body.get(name) or []
    if not isinstance(value, list):
        raise invalid(f"{name}: must be a list")
    return value


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(f"{where}: must hold objects")
    return value
