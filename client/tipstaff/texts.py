"""The one form in which chats, tool calls and documents are read as text.

An evaluator learns from texts in this form, so an application that passes `text_of(messages)` is
judged on the very text that such messages had in training:

- a text is itself; None is empty
- one message is its content; where it only calls tools, its calls
- messages are `role: content` each, parted by blank lines
- a tool call is `{"arguments": {...}, "name": "..."}`, canonical JSON
- documents are their texts, parted by blank lines, also where they come in lists of lists
- anything else is canonical JSON: keys in order, `, ` and `: ` between them, no escapes beyond
  what JSON needs
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

_PARTED = "\n\n"
# LangChain's kinds of messages, by the names that others use.
_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_CHAT_KINDS = frozenset({*_ROLES, "system", "tool", "function", "user", "assistant", "developer"})
# The names of a document's text, in order of preference.
_DOCUMENT_TEXTS = ("page_content", "document.content", "text", "content")
# What else a document holds. An object with other keys is no document: all of it is read.
_ABOUT_DOCUMENTS = frozenset(
    "id metadata meta type score title source url uri name rank index distance similarity "
    "relevance_score node_id doc_id document_id chunk_id file file_name page embedding "
    "document.id document.score document.metadata".split()
)


def text_of(value: object) -> str:
    """Writes messages, tool calls, documents or any JSON value as the text to score.

    Args:
        value: A text; a message or a list of them, as `{"role": "user", "content": "..."}`
            (OpenAI's, Anthropic's or LangChain's shape); a document or a list of texts and
            documents, as `{"page_content": "..."}`; or another value of JSON. None is absent,
            and is left out of lists.

    Returns:
        The text. The same value always gives the same text, here and in training.

    Raises:
        ValueError: JSON can't hold the value.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        message = _message(value)
        if message is not None:
            return message[1]
        document = _document(value)
        return _canonical(_call(value) or value) if document is None else document
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return _text_of_list([part for part in value if part is not None])
    return _canonical(value)


def _text_of_list(parts: list[Any]) -> str:
    if len(parts) == 1 and isinstance(parts[0], list):
        # LangChain's runs hold the messages of a batch of one.
        return _text_of_list([part for part in parts[0] if part is not None])
    if len(parts) > 1 and all(isinstance(part, list) for part in parts):
        # Retrievers give a list of passages for each query.
        passages = [each for part in parts for each in part if each is not None]
        if all(isinstance(each, str) for each in passages):
            return _PARTED.join(passages)
    messages = [_message(part) if isinstance(part, Mapping) else None for part in parts]
    if parts and all(message is not None and message[0] for message in messages):
        turns = [message for message in messages if message is not None]
        return _PARTED.join(f"{role}: {content}" for role, content in turns)
    texts = [
        part if isinstance(part, str) else _document(part) if isinstance(part, Mapping) else None
        for part in parts
    ]
    if all(text is not None for text in texts):
        return _PARTED.join(text for text in texts if text is not None)
    calls = [_call(part) if isinstance(part, Mapping) else None for part in parts]
    if all(calls):
        return _PARTED.join(map(_canonical, calls))
    return _canonical(parts)


def _message(value: Mapping[Any, Any]) -> tuple[str, str] | None:
    """A message's role and its content as text; None if the value is no message."""
    role = value.get("role", value.get("type"))
    if isinstance(value.get("data"), Mapping) and role in _CHAT_KINDS:
        # LangChain's `messages_to_dict` puts the content one step deeper.
        value = value["data"]
    if not isinstance(role, str) or not ("content" in value or "tool_calls" in value):
        return None
    if "role" not in value and role not in _CHAT_KINDS:
        return None
    parts = [text for text in (_content(value.get("content")), _calls(value)) if text]
    return _ROLES.get(role, role), "\n".join(parts)


def _content(content: object) -> str:
    """A message's content, which may be in parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, Sequence):
        return _canonical(content)
    return "\n".join(filter(None, map(_part, content)))


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return "" if part is None else _canonical(part)
    if isinstance(part.get("text"), str):
        return str(part["text"])
    if call := _call(part):
        return _canonical(call)
    if "content" in part:
        return _content(part["content"])
    # An image or a sound: its kind is read, its bytes are not.
    return f"[{part['type']}]" if isinstance(part.get("type"), str) else _canonical(part)


def _calls(message: Mapping[Any, Any]) -> str:
    calls = message.get("tool_calls")
    calls = calls if isinstance(calls, Sequence) and not isinstance(calls, str) else ()
    if isinstance(message.get("function_call"), Mapping):
        calls = [*calls, message["function_call"]]
    return "\n".join(
        _canonical((_call(call) if isinstance(call, Mapping) else None) or call) for call in calls
    )


def _call(value: Mapping[Any, Any]) -> dict[str, Any] | None:
    """A tool call's name and arguments; None if the value is no tool call."""
    inner = value.get("function")
    call = inner if isinstance(inner, Mapping) else value
    name = call.get("name")
    named = [key for key in ("arguments", "args", "input") if key in call]
    # Beside them a call has only an id and its kind.
    others = set(call) - {"name", "id", "type", "call_id", "index", "status", *named}
    if not isinstance(name, str) or not named or others:
        return None
    arguments = call[named[0]]
    if isinstance(arguments, str):
        with suppress(ValueError):
            arguments = json.loads(arguments)
    return {"name": name, "arguments": arguments}


def _document(value: Mapping[Any, Any]) -> str | None:
    """A retrieved document's text; None if the value is no document."""
    inner = value.get("document")
    if isinstance(inner, Mapping):
        value = inner
    for name in _DOCUMENT_TEXTS:
        if isinstance(value.get(name), str) and set(value) - {name} <= _ABOUT_DOCUMENTS:
            return str(value[name])
    return inner if isinstance(inner, str) else None


def _canonical(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except TypeError as error:
        raise ValueError(f"JSON can't hold it: {error}") from None
