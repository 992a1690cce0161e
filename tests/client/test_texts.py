"""One form for chats, tool calls and documents, the same here and in training."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tipstaff import text_of

USER = {"role": "user", "content": "Where is it?"}
CALL = {"name": "track", "arguments": {"parcel": 1, "carrier": "é"}}
CALL_TEXT = '{"arguments": {"carrier": "é", "parcel": 1}, "name": "track"}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("as it is\n", "as it is\n"),
        (3, "3"),
        (USER, "Where is it?"),
        (
            [USER, {"role": "assistant", "content": "Here."}],
            "user: Where is it?\n\nassistant: Here.",
        ),
        # LangChain's names, and its batch of one.
        (
            [[{"type": "human", "content": "a"}, {"type": "ai", "content": "b"}]],
            "user: a\n\nassistant: b",
        ),
        ({"type": "human", "data": {"content": "a"}}, "a"),
        # Parts of a content: texts are read, of an image only that there is one.
        (
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "data:"}},
                ],
            },
            "a\n[image_url]",
        ),
        (CALL, CALL_TEXT),
        (
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "track", "arguments": '{"parcel": 1, "carrier": "é"}'},
            },
            CALL_TEXT,
        ),
        (
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": CALL}],
            },
            CALL_TEXT,
        ),
        (
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "t", "name": "track", "input": CALL["arguments"]}
                ],
            },
            CALL_TEXT,
        ),
        ([CALL, CALL], f"{CALL_TEXT}\n\n{CALL_TEXT}"),
        (["one", None, "two"], "one\n\ntwo"),
        (
            [{"page_content": "one", "metadata": {"source": "a"}}, {"text": "two", "score": 0.5}],
            "one\n\ntwo",
        ),
        ([{"document.content": "one", "document.score": 1}], "one"),
        ([{"document": {"content": "one"}}], "one"),
        # An object with more than a text is not a document: nothing of it is lost.
        ({"text": "fine", "mood": "calm"}, '{"mood": "calm", "text": "fine"}'),
        ({"b": [1, None], "a": "é"}, '{"a": "é", "b": [1, null]}'),
        ([], ""),
        ([1, 2], "[1, 2]"),
    ],
)
def test_the_form_of_each_kind(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": b""}, {1, 2}])
def test_what_json_can_not_hold_is_an_error(value):
    with pytest.raises(ValueError):  # noqa: PT011
        text_of(value)


def test_an_application_needs_no_grpc_for_it():
    code = "import sys; from tipstaff import text_of; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
