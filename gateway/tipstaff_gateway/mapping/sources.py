"""Where a field's text is found in a request.

text            the one text of the request (NeMo Guardrails)
answer          the answer to judge
last_user       the last message of the user
user            all messages of the user
system          system and developer prompts
tool_results    results of tools
tag:NAME        what stands between <NAME> and </NAME> in any message
header:NAME     a header of the request
body:/POINTER   a part of the request's JSON (RFC 6901): a text, or a list of texts or passages
tensor:NAME     an input tensor (Open Inference Protocol)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tipstaff.errors import UsageError
from tipstaff_gateway.chat import Message

# LiteLLM puts this in place of the values of headers that it doesn't pass on.
_WITHHELD = "[present]"
_PASSAGE_MEMBERS = ("text", "content", "page_content")
_NAME = re.compile(r"[A-Za-z][\w.-]*")
BLANK_LINE = "\n\n"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a request, and the answer that goes with it, offer.

    Attributes:
        messages: The conversation.
        answer: The answer to judge.
        texts: Texts by name: `text`, or `tensor:` and a tensor's name.
        headers: Headers, their names in small letters.
        body: The JSON of the request.
    """

    messages: Sequence[Message] = ()
    answer: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a source finds: a text, and the kinds of the parts that are not text."""

    text: str | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One source, by the name that the mapping file gives it."""

    name: str
    find: Callable[[Exchange], Found]


def parse_source(name: str) -> Source:
    """The source of a name.

    Raises:
        UsageError: There is no such source.
    """
    kind, colon, rest = name.partition(":")
    if not colon and kind in _PLAIN:
        return Source(name, _PLAIN[kind])
    if colon and kind in ("tag", "header", "tensor") and _NAME.fullmatch(rest):
        return Source(name, {"tag": _tag, "header": _header}.get(kind, _tensor)(rest))
    if colon and kind == "body" and rest.startswith("/"):
        return Source(name, _pointer(rest))
    known = ", ".join((*_PLAIN, "tag:NAME", "header:NAME", "body:/POINTER", "tensor:NAME"))
    raise UsageError(f"there is no source {name!r}; there are {known}")


def join(found: Sequence[Found]) -> Found:
    """What several sources find, with a blank line between texts; blank texts are left out."""
    texts = [each.text for each in found if each.text and each.text.strip()]
    unread = tuple(kind for each in found for kind in each.unread)
    return Found(BLANK_LINE.join(texts) if texts else None, unread)


def _named(name: str) -> Callable[[Exchange], Found]:
    return lambda exchange: Found(exchange.texts.get(name))


def _tensor(name: str) -> Callable[[Exchange], Found]:
    return _named(f"tensor:{name}")


def _of_role(role: str) -> Callable[[Exchange], Found]:
    return lambda exchange: join(
        [Found(each.text, each.unread) for each in exchange.messages if each.role == role]
    )


def _last_user(exchange: Exchange) -> Found:
    for each in reversed(exchange.messages):
        if each.role == "user":
            return Found(each.text, each.unread)
    return Found()


def _tag(name: str) -> Callable[[Exchange], Found]:
    opening, closing = f"<{name}>", f"</{name}>"

    def find(exchange: Exchange) -> Found:
        parts: list[Found] = []
        for each in exchange.messages:
            # A pattern would take long on a text with many opening tags.
            for piece in (each.text or "").split(opening)[1:]:
                text, closed, _ = piece.partition(closing)
                parts += [Found(text.strip())] if closed else []
        return join(parts)

    return find


def _header(name: str) -> Callable[[Exchange], Found]:
    def find(exchange: Exchange) -> Found:
        value = exchange.headers.get(name.lower())
        return Found(None if value is None or value == _WITHHELD else _as_sent(value))

    return find


def _as_sent(value: str) -> str:
    """A header's text as its sender wrote it: clients send UTF-8, which servers read as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _pointer(pointer: str) -> Callable[[Exchange], Found]:
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]

    def find(exchange: Exchange) -> Found:
        value = exchange.body
        for step in steps:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and step.isdigit() and len(step) < 9:
                value = value[int(step)] if int(step) < len(value) else None
            else:
                return Found()
        return join([_passage(each) for each in (value if isinstance(value, list) else [value])])

    return find


def _passage(value: Any) -> Found:
    """The text of a passage in one of the forms that retrievers use."""
    if isinstance(value, Mapping):
        members = (value.get(name) for name in _PASSAGE_MEMBERS)
        value = next((each for each in members if isinstance(each, str)), None)
    return Found(value if isinstance(value, str) else None)


_PLAIN: dict[str, Callable[[Exchange], Found]] = {
    "text": _named("text"),
    "answer": lambda exchange: Found(exchange.answer),
    "last_user": _last_user,
    "user": _of_role("user"),
    "system": _of_role("system"),
    "tool_results": _of_role("tool"),
}
