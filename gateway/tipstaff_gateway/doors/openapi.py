"""Describes the gateway's own door as OpenAPI, from the proto itself."""

from __future__ import annotations

import html
import json
from importlib.metadata import version as version_of
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tipstaff_gateway.context import CALLER_HEADER, TIMEOUT_HEADER
from tipstaff_gateway.doors.native import Operation, operations
from tipstaff_gateway.problems import PROBLEMS

_SUMMARIES = {
    "Score": "Scores one interaction.",
    "ScoreBatch": "Scores many interactions; each may fail by itself.",
    "ListEvaluators": "Lists what the server offers.",
    "SubmitFeedback": "Tells the server whether a scored output was good.",
}
# OpenAPI describes each method of an address by itself.
_OF_NO_OPERATION = (405,)
# These name no evaluator: the requests of a batch have errors of their own, in the answer.
_WITHOUT_EVALUATOR = ("ScoreBatch", "ListEvaluators")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:#f4f4f2;padding:.8rem;"
    "overflow:auto}h2{margin-top:2.5rem;border-bottom:1px solid #ccc}"
)


def describe() -> dict[str, Any]:
    """The OpenAPI document."""
    schemas: dict[str, Any] = {
        "Problem": {
            "type": "object",
            "description": "Why there is no answer (RFC 9457).",
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "code": {"type": "string", "description": "Name of the gRPC status code."},
                "request_id": {"type": "string"},
            },
        }
    }
    paths = {each.path: {each.verb.lower(): _operation(each, schemas)} for each in operations()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tipstaff",
            "version": version_of("tipstaff"),
            "description": "The JSON of scoring.proto; names in snake_case or lowerCamelCase.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def page(description: dict[str, Any]) -> str:
    """The document as a page that loads nothing."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Tipstaff gateway</title>",
        f"<style>{_STYLE}</style><h1>Tipstaff gateway</h1>",
        f"<p>{html.escape(description['info']['description'])} ",
        "The same for machines: <a href=openapi.json>openapi.json</a>.</p>",
    ]
    for path, verbs in description["paths"].items():
        for verb, operation in verbs.items():
            parts.append(f"<h2><code>{verb.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(operation['summary'])}</p>")
            parts.append(f"<pre>{html.escape(json.dumps(operation, indent=2))}</pre>")
    for name, schema in description["components"]["schemas"].items():
        parts.append(f"<h2 id={html.escape(name)}>{html.escape(name)}</h2>")
        parts.append(f"<pre>{html.escape(json.dumps(schema, indent=2))}</pre>")
    return "".join(parts)


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    method = operation.method
    ok = {"description": "The answer.", "content": _json(_reference(method.output_type, schemas))}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    described: dict[str, Any] = {
        "operationId": method.name,
        "summary": _SUMMARIES[method.name],
        "parameters": [
            _header(TIMEOUT_HEADER, "Milliseconds until the deadline.", "integer"),
            _header(CALLER_HEADER, "Who asks; forwarded to the server.", "string"),
        ],
        "responses": {"200": ok}
        | {
            str(status): {"description": PROBLEMS[status][1], "content": problem}
            for status in _statuses(operation)
        },
    }
    if operation.verb == "POST":
        content = _json(_reference(method.input_type, schemas))
        described["requestBody"] = {"required": True, "content": content}
    return described


def _statuses(operation: Operation) -> list[int]:
    """The statuses of the problems that an operation may have."""
    absent = {*_OF_NO_OPERATION, *([404] if operation.method.name in _WITHOUT_EVALUATOR else [])}
    return [status for status in PROBLEMS if status not in absent]


def _header(name: str, description: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": kind}}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _reference(message: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if message.name not in schemas:
        properties: dict[str, Any] = {}
        schemas[message.name] = {"type": "object", "properties": properties}
        for each in message.fields:
            properties[each.name] = _field(each, schemas)
    return {"$ref": f"#/components/schemas/{message.name}"}


def _field(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        return {"type": "object", "additionalProperties": _single(value, schemas)}
    single = _single(field, schemas)
    return {"type": "array", "items": single} if field.is_repeated else single


def _single(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        return _reference(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [each.name for each in field.enum_type.values]}
    kinds = {
        FieldDescriptor.CPPTYPE_STRING: "string",
        FieldDescriptor.CPPTYPE_BOOL: "boolean",
        FieldDescriptor.CPPTYPE_DOUBLE: "number",
        FieldDescriptor.CPPTYPE_FLOAT: "number",
    }
    return {"type": kinds.get(field.cpp_type, "integer")}
