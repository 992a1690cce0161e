"""Messages as JSON, read and written as by `json_format`, but in less than half of its time.

Each of the two saves a tenth of a request's cost at the gateway's own door. Only kinds of fields
that `scoring.proto` uses are supported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_Convert = Callable[[Any], Any]

_PLAIN = {
    FieldDescriptor.CPPTYPE_STRING: str,
    FieldDescriptor.CPPTYPE_BOOL: bool,
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_UINT32: int,
}
_WIDE = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}


def to_json(message: Message) -> str:
    """A message in JSON, with the proto's own names and with fields that are zero."""
    return json.dumps(to_dict(message))


def merge_dict(values: dict[str, Any], message: Message) -> None:
    """Sets a message's fields from values of JSON.

    Raises:
        json_format.ParseError: There is no such field, or a value is not of its kind.
    """
    kinds = _plain_kinds(message.DESCRIPTOR)
    for name, value in values.items():
        # The library reads names in camel case and large numbers, and reports what is wrong.
        if type(value) is not kinds.get(name) or (type(value) is int and not 0 <= value < 2**31):
            json_format.ParseDict(values, message)
            return
    try:
        for name, value in values.items():
            setattr(message, name, value)
    except ValueError:
        message.Clear()
        json_format.ParseDict(values, message)


@cache
def _plain_kinds(descriptor: Descriptor) -> dict[str, type]:
    """Python's types of the fields that hold one plain value."""
    return {
        each.name: _PLAIN[each.cpp_type]
        for each in descriptor.fields
        if not each.is_repeated
        and (each.containing_oneof is None or each.containing_oneof.name == f"_{each.name}")
        and each.enum_type is None
        and each.type != FieldDescriptor.TYPE_BYTES
        and each.cpp_type in _PLAIN
    }


def to_dict(message: Message) -> dict[str, Any]:
    """A message as values of JSON."""
    values: dict[str, Any] = {}
    for name, convert, has_presence in _plan(message.DESCRIPTOR):
        if not has_presence or message.HasField(name):
            values[name] = convert(getattr(message, name))
    return values


@cache
def _plan(descriptor: Descriptor) -> tuple[tuple[str, _Convert, bool], ...]:
    return tuple((each.name, _converter(each), each.has_presence) for each in descriptor.fields)


def _converter(field: FieldDescriptor) -> _Convert:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = _single(field.message_type.fields_by_name["value"])
        return lambda items: {str(key): value(items[key]) for key in items}
    single = _single(field)
    return (lambda items: [single(each) for each in items]) if field.is_repeated else single


def _single(field: FieldDescriptor) -> _Convert:
    if field.message_type is not None:
        return to_dict
    if field.enum_type is not None:
        names = {number: each.name for number, each in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, number)
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return _double
    if field.cpp_type in _WIDE:
        return str
    if field.cpp_type in _PLAIN and field.type != FieldDescriptor.TYPE_BYTES:
        return _same
    raise TypeError(f"{field.full_name}: fields of this kind are not written yet")


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _same(value: Any) -> Any:
    return value
