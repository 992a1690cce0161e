"""Conversations and answers in the forms of OpenAI's and Anthropic's APIs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tipstaff_gateway.chat import (
    Answer,
    Message,
    UnreadableAnswerError,
    read_answers,
    read_request,
    read_stream,
)
from tipstaff_gateway.problems import ProblemError

IMAGE = {"type": "image_url", "image_url": {"url": "data:"}}


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"messages": [{"role": "developer", "content": "a"}]}, [Message("system", "a")]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]}]},
            [Message("user", "a", ("image",))],
        ),
        ({"messages": [{"role": "function", "content": "a"}]}, [Message("tool", "a")]),
        ({"prompt": "a"}, [Message("user", "a")]),
        ({"input": "a", "instructions": "b"}, [Message("system", "b"), Message("user", "a")]),
        (
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
                    {"type": "function_call", "name": "f"},
                    {"type": "function_call_output", "output": "b"},
                ]
            },
            [Message("user", "a"), Message("tool", "b")],
        ),
        (
            {
                "system": [{"type": "text", "text": "s"}],
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "content": "b"}]},
                    {"role": "user", "content": [{"type": "input_audio"}]},
                ],
            },
            [Message("system", "s"), Message("tool", "b"), Message("user", None, ("audio",))],
        ),
        ({}, []),
    ],
)
def test_messages(body, messages):
    assert read_request(body) == messages


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ({"choices": [{"message": {"content": "a"}}]}, [Answer("a")]),
        ({"choices": [{"text": "a"}, {"text": "b"}]}, [Answer("a"), Answer("b")]),
        ({"choices": [{"message": {"content": None, "refusal": "no"}}]}, [Answer("no")]),
        (
            {"choices": [{"message": {"content": None, "tool_calls": [{}]}}]},
            [Answer(None, (), True)],
        ),
        (
            {"choices": [{"message": {"content": None, "audio": {"data": "a"}}}]},
            [Answer(None, ("audio",))],
        ),
        (
            {
                "object": "response",
                "output": [
                    {"type": "reasoning"},
                    {"type": "message", "content": [{"type": "output_text", "text": "a"}]},
                ],
            },
            [Answer("a")],
        ),
        (
            {"type": "message", "content": [{"type": "text", "text": "a"}, {"type": "tool_use"}]},
            [Answer("a", (), True)],
        ),
    ],
)
def test_answers(body, answers):
    assert read_answers(body) == answers


def events(*values, end=""):
    return ("".join(f"data: {json.dumps(each)}\n\n" for each in values) + end).encode()


DONE = "data: [DONE]\n\n"


def delta(text, index=0):
    return {"choices": [{"index": index, "delta": {"content": text}}]}


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        (events(delta("a"), delta("b"), end=DONE), [Answer("ab")]),
        (events(delta("a"), delta("b", 1), delta("c"), end=DONE), [Answer("ac"), Answer("b")]),
        (events({"choices": [{"text": "a"}]}, end=DONE), [Answer("a")]),
        (events(delta("a"), end=DONE).replace(b"\n", b"\r\n"), [Answer("a")]),
        (b": ping\n\n" + events(delta("a"), end=DONE), [Answer("a")]),
        (
            events({"choices": [{"delta": {"tool_calls": [{}]}}]}, end=DONE),
            [Answer(None, (), True)],
        ),
        (
            events(
                {"type": "content_block_delta", "delta": {"text": "a"}}, {"type": "message_stop"}
            ),
            [Answer("a")],
        ),
        (
            events(
                {"type": "content_block_start", "content_block": {"type": "thinking"}},
                {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "delta": {"text": "a"}},
                {"type": "content_block_start", "content_block": {"type": "document"}},
                {"type": "message_stop"},
            ),
            [Answer("a", ("file",))],
        ),
        (
            events(
                {"type": "content_block_start", "content_block": {"type": "tool_use"}},
                {"type": "message_stop"},
            ),
            [Answer(None, (), True)],
        ),
        (
            events(
                {"choices": [{"delta": {"content": None, "refusal": "n"}}]},
                {"choices": [{"delta": {"refusal": "o"}}]},
                {"choices": [{"delta": {"images": [{}]}}]},
                end=DONE,
            ),
            [Answer("no", ("image",))],
        ),
        (
            events(
                {
                    "type": "response.incomplete",
                    "response": {
                        "object": "response",
                        "output": [{"type": "message", "content": "a"}],
                    },
                }
            ),
            [Answer("a")],
        ),
        (
            events(
                {
                    "type": "response.completed",
                    "response": {
                        "object": "response",
                        "output": [{"type": "message", "content": "a"}],
                    },
                }
            ),
            [Answer("a")],
        ),
    ],
)
def test_streams(body, answers):
    assert read_stream(body) == answers


@pytest.mark.parametrize(
    "body", [b"", b"data: {}\n\n", events(delta("a")), b"\xff", b"data: {\n\n", DONE.encode()]
)
def test_streams_that_are_not_whole(body):
    with pytest.raises(UnreadableAnswerError):
        read_stream(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "choices message content delta type role index output messages input text object "
                "response tool_calls".split()
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(body=st.dictionaries(st.sampled_from(["choices", "output", "content", "type"]), JSON))
def test_no_answer_breaks_the_reader(body):
    for read, value in ((read_answers, body), (read_stream, events(body, end=DONE))):
        try:
            answers = read(value)
        except UnreadableAnswerError:
            continue
        assert all(each.text is None or isinstance(each.text, str) for each in answers)


@given(body=st.dictionaries(st.sampled_from(["messages", "input", "system", "prompt"]), JSON))
def test_no_request_breaks_the_reader(body):
    try:
        messages = read_request(body)
    except ProblemError:
        return
    assert all(each.text is None or isinstance(each.text, str) for each in messages)
