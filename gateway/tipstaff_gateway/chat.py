"""Reads conversations and answers in the forms of OpenAI's and Anthropic's APIs.

Parts that are not text are never taken as read: they are named by their kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tipstaff_gateway.problems import invalid

_TEXT_PARTS = {"text", "input_text", "output_text", "refusal"}
_KINDS = {
    "image_url": "image",
    "input_image": "image",
    "output_image": "image",
    "input_audio": "audio",
    "output_audio": "audio",
    "input_file": "file",
    "document": "file",
}
# Parts that hold what a model did on the way to its answer.
_TOOL_CALLS = {"tool_use", "server_tool_use", "function_call"}
_STEPS = _TOOL_CALLS | {"reasoning", "thinking"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: As in the request: `system`, `user`, `assistant`, `tool`.
        text: Its text; None without one.
        unread: Kinds of its parts that are not text, as `image`.
    """

    role: str
    text: str | None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a model.

    Attributes:
        text: Its text; None without one.
        unread: Kinds of its parts that are not text.
        calls_tools: Whether it calls tools, so that it is a step on the way to an answer.
    """

    text: str | None
    unread: tuple[str, ...] = ()
    calls_tools: bool = False


class UnreadableAnswerError(Exception):
    """An answer has no known form; the error's text is one line."""


def read_messages(value: Any) -> list[Message]:
    """The messages of a request.

    Raises:
        ProblemError: They don't have the form of OpenAI's API.
    """
    if not isinstance(value, list):
        raise invalid("messages: must be a list")
    messages: list[Message] = []
    for number, each in enumerate(value):
        if not isinstance(each, Mapping):
            raise invalid(f"messages[{number}]: must be an object with a role")
        if each.get("type") == "function_call_output":
            messages.append(_message("tool", each.get("output"), number))
        elif "role" in each:
            messages += _by_role(each, number)
    return messages


def read_request(body: Mapping[str, Any]) -> list[Message]:
    """The conversation in the body of a chat completion, completion, response or message.

    Raises:
        ProblemError: It has none of these forms.
    """
    messages: list[Message] = []
    for name in ("system", "instructions"):
        if body.get(name) is not None:
            messages.append(_message("system", body[name], 0))
    if "messages" in body:
        return messages + read_messages(body["messages"])
    prompt = body.get("input", body.get("prompt"))
    if isinstance(prompt, list) and all(isinstance(each, Mapping) for each in prompt):
        return messages + read_messages(prompt)
    if prompt is not None:
        messages.append(_message("user", prompt, 0))
    return messages


def read_answers(body: Mapping[str, Any]) -> list[Answer]:
    """The answers in the body of a chat completion, completion, response or message.

    Raises:
        UnreadableAnswerError: It has none of these forms.
    """
    if isinstance(choices := body.get("choices"), list):
        return [_choice(each) for each in choices]
    for name, kind in (("output", "response"), ("content", "message")):
        parts = body.get(name)
        if isinstance(parts, list) and kind in (body.get("object"), body.get("type")):
            return [_answer_of_parts(parts)]
    raise UnreadableAnswerError("the answer is in no form that is known")


def read_stream(body: bytes) -> list[Answer]:
    """The answers in a whole stream of server-sent events.

    Raises:
        UnreadableAnswerError: It is in no known form, or ends early.
    """
    texts: dict[int, list[str]] = {}
    unread: dict[int, list[str]] = {}
    calls: set[int] = set()
    complete = False
    for event in _events(body):
        kind = event.get("type")
        # An incomplete answer is one that a limit has cut off.
        if kind in ("response.completed", "response.incomplete") and "response" in event:
            return read_answers(_mapping(event["response"]))
        if kind in ("[DONE]", "message_stop"):
            complete = True
        elif kind == "content_block_start":
            block = event.get("content_block")
            text, others = text_of([block])
            texts.setdefault(0, []).append(text or "")
            unread.setdefault(0, []).extend(others)
            if _kind_of(block) in _TOOL_CALLS:
                calls.add(0)
        elif kind == "content_block_delta":
            texts.setdefault(0, []).append(str(_mapping(event.get("delta")).get("text") or ""))
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            choice = _mapping(choice)
            number = choice.get("index")
            index = number if isinstance(number, int) else 0
            delta = _mapping(choice.get("delta"))
            text, others = text_of(delta.get("content", choice.get("text")))
            texts.setdefault(index, []).append(text or _refusal(delta) or "")
            unread.setdefault(index, []).extend((*others, *_extras(delta)))
            if delta.get("tool_calls") or delta.get("function_call"):
                calls.add(index)
    if not texts:
        raise UnreadableAnswerError("the stream holds no answer in a form that is known")
    if not complete:
        raise UnreadableAnswerError("the stream ends early")
    return [
        Answer(
            "".join(parts) or None,
            tuple(dict.fromkeys(unread.get(index, ()))),
            index in calls,
        )
        for index, parts in sorted(texts.items())
    ]


def text_of(content: Any) -> tuple[str | None, tuple[str, ...]]:
    """The text of a message's content, and the kinds of its parts that are not text."""
    if content is None or isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        return None, (type(content).__name__,)
    texts: list[str] = []
    unread: list[str] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = _kind_of(part)
        text = _mapping(part).get("refusal" if kind == "refusal" else "text")
        if kind in _TEXT_PARTS and isinstance(text, str):
            texts.append(text)
        elif kind not in _STEPS:
            unread.append(_KINDS.get(kind, kind))
    return ("\n".join(texts) if texts else None), tuple(unread)


def _by_role(each: Mapping[str, Any], number: int) -> Iterator[Message]:
    """The messages in one; in Anthropic's API, results of tools are parts of the user's message."""
    role = str(each["role"])
    content = each.get("content")
    rest: Any = content
    if isinstance(content, list):
        results = [part for part in content if _kind_of(part) == "tool_result"]
        for part in results:
            yield _message("tool", part.get("content"), number)
        rest = [part for part in content if _kind_of(part) != "tool_result"]
        if results and not rest:
            return
    role = {"developer": "system", "function": "tool"}.get(role, role)
    yield _message(role, rest, number)


def _message(role: str, content: Any, number: int) -> Message:
    if content is not None and not isinstance(content, str | list):
        raise invalid(f"messages[{number}].content: must be a text or a list of parts")
    text, unread = text_of(content)
    return Message(role, text, unread)


def _choice(choice: Any) -> Answer:
    if not isinstance(choice, Mapping):
        raise UnreadableAnswerError("a choice is not an object")
    message = choice.get("message")
    if message is None:
        text, unread = text_of(choice.get("text"))
        return Answer(text, unread)
    message = _mapping(message)
    text, unread = text_of(message.get("content"))
    text = _refusal(message) if text is None else text
    unread += _extras(message)
    return Answer(text, unread, bool(message.get("tool_calls") or message.get("function_call")))


def _refusal(message: Mapping[str, Any]) -> str | None:
    text = message.get("refusal")
    return text if isinstance(text, str) else None


def _extras(message: Mapping[str, Any]) -> tuple[str, ...]:
    """The kinds of what a message, or a part of it in a stream, holds beside its content."""
    return tuple(kind.removesuffix("s") for kind in ("audio", "images") if message.get(kind))


def _answer_of_parts(parts: Sequence[Any]) -> Answer:
    texts: list[str] = []
    unread: list[str] = []
    calls_tools = False
    for part in parts:
        kind = _kind_of(part)
        calls_tools = calls_tools or kind in _TOOL_CALLS
        if kind == "message":
            text, others = text_of(_mapping(part).get("content"))
        else:
            text, others = text_of([part])
        texts += [text] if text else []
        unread += others
    return Answer("\n".join(texts) or None, tuple(unread), calls_tools)


def _events(body: bytes) -> Iterator[Mapping[str, Any]]:
    """The data of each event; that of the closing `[DONE]` is `{"type": "[DONE]"}`."""
    try:
        text = body.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise UnreadableAnswerError("the stream is not UTF-8") from None
    for block in text.split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line[:5] == "data:"]
        data = "\n".join(lines)
        if data == "[DONE]":
            yield {"type": "[DONE]"}
        elif data:
            try:
                event = json.loads(data)
            except (ValueError, RecursionError):
                raise UnreadableAnswerError("an event of the stream is not JSON") from None
            if isinstance(event, Mapping):
                yield event


def _kind_of(part: Any) -> str:
    return str(_mapping(part).get("type", "part of an unknown kind"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
