"""Messages are written as protobuf's own library writes them."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from tipstaff.v1 import scoring_pb2 as pb
from tipstaff_gateway.proto_json import to_json

TEXT = st.text(max_size=6)
COUNT = st.integers(0, 2**32 - 1)
NUMBER = st.floats()


def messages(kind, depth=0):
    """Any message of a kind, with any of its fields."""
    return st.builds(
        lambda values: kind(**values),
        st.fixed_dictionaries(
            {}, optional={each.name: values(each, depth) for each in kind.DESCRIPTOR.fields}
        ).map(one_of_each),
    )


def one_of_each(values):
    """Of a oneof only one field may be set."""
    if {"response", "error"} <= values.keys():
        del values["error"]
    return values


def values(field, depth):
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return st.dictionaries(TEXT, TEXT, max_size=2)
    if field.message_type is not None:
        single = messages(getattr(pb, field.message_type.name), depth + 1)
    elif field.enum_type is not None:
        # Beside those that there are, one of a newer server.
        single = st.sampled_from([*field.enum_type.values_by_number, 999])
    else:
        single = {
            field.CPPTYPE_STRING: TEXT,
            field.CPPTYPE_BOOL: st.booleans(),
            field.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
            field.CPPTYPE_UINT32: COUNT,
            field.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
            field.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
            field.CPPTYPE_DOUBLE: NUMBER,
        }[field.cpp_type]
    return st.lists(single, max_size=2) if field.is_repeated else single


_SERVICE = pb.DESCRIPTOR.services_by_name["ScoringService"]
REPLIES = [each.output_type.name for each in _SERVICE.methods]


@pytest.mark.parametrize("name", REPLIES)
def test_messages_are_written_as_by_the_library(name):
    @given(messages(getattr(pb, name)))
    def check(message):
        expected = json_format.MessageToDict(
            message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
        )
        written = json.loads(to_json(message))
        assert written == expected

    check()
