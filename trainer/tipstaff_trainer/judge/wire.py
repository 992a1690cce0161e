"""The chat completions protocol: what is sent for a question, and what comes back.

https://platform.openai.com/docs/api-reference/chat, as vLLM, llama.cpp, Ollama, LiteLLM and the
providers speak it too, each without some part or other.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import (
    BaseModel,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from tipstaff_trainer.judge.prompt import JSON_SCHEMA, count_tokens, estimate_tokens
from tipstaff_trainer.judge.question import Question
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import JudgeSettings

# Enough for the spellings of two words; some endpoints refuse more.
_TOP_LOGPROBS = 5
_KEPT_TOKENS = 4
# What is done without where an endpoint says it can't.
_OPTIONAL = {
    "logprobs": "it gives no log-probabilities",
    "top_logprobs": "it gives no log-probabilities",
    "response_format": "it can't be held to a JSON schema, so replies are only checked afterwards",
    "temperature": "it takes no temperature, so its own is used",
    "n": "it gives one reply a call, so each sample is a call of its own",
    "max_tokens": "it wants max_completion_tokens",
}
_REFUSALS = (
    "unsupported", "not support", "unknown", "unrecognized", "unexpected", "not permitted",
    "unavailable", "not available", "not allowed", "not enabled",
)  # fmt: skip
# One letter is in every message, so this one is known by how it is spoken of: Groq's "'n' : number
# must be at most 1", llama.cpp's "Only one completion choice is allowed".
_ONE_REPLY = re.compile(
    r"""(['"`])n\1|(?<![\\\w])n\s*(?:[=<>]|must|should)|\b(one|multiple) (completion|choice)""",
    re.IGNORECASE,
)


class FaultyReplyError(Exception):
    """What came back is not a chat completion; may be better another time."""


@dataclass(slots=True)
class Dialect:
    """Which parameters an endpoint doesn't take, as found out by its refusals.

    Attributes:
        without: Their names.
        notes: One line for each, for the user.
    """

    without: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def learn(self, sent: Container[str], error: str, param: str | None) -> bool:
        """Whether a refusal is of a parameter that can be done without; then it is, from now on.

        Args:
            sent: The parameters of the request that was refused.
            error: The refusal's words.
            param: The parameter that it names, if it does.
        """
        for name, what in _OPTIONAL.items():
            if name in sent and _is_refused(name, error, param):
                # Several calls may have been on their way when the first was refused.
                if name not in self.without:
                    self.without.add(name)
                    self.notes.append(f"the endpoint refused {name}: {what}")
                return True
        return False


def request_body(
    question: Question, settings: JudgeSettings, dialect: Dialect, replies: int
) -> dict[str, Any]:
    """The JSON to send for a question."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": question.messages,
        "temperature": question.temperature,
        "max_tokens": settings.max_reply_tokens,
    } | (settings.extra_body or {})
    if question.logprobs:
        body |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
    if question.form == "json":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "judgement", "strict": True, "schema": JSON_SCHEMA},
        }
    if replies > 1:
        body["n"] = replies
    for name in dialect.without & body.keys():
        value = body.pop(name)
        if name == "max_tokens":
            body["max_completion_tokens"] = value
    if "logprobs" not in body:
        body.pop("top_logprobs", None)
    return body


def refused_part(extra_body: Iterable[str], error: str, param: str | None) -> str | None:
    """The part of a request's `extra_body` that a refusal names, if it does."""
    named = (param or "").split(".")[0]
    for name in extra_body:
        if name == named or any(f"{quote}{name}{quote}" in error for quote in "'\"`"):
            return name
    return None


def parse_completion(values: object, question: Question | None = None) -> list[Reply]:
    """The replies of one call; what it cost, or where that is not said may have, is the first's.

    Raises:
        FaultyReplyError: It is not a chat completion.
    """
    try:
        completion = _Completion.model_validate(values)
    except ValidationError as error:
        if isinstance(values, dict) and values.get("error"):
            raise FaultyReplyError(f"an error instead of a reply: {error_of(values)[0]}") from None
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise FaultyReplyError(f"not a chat completion: {place}: {first['msg']}") from None
    if not completion.choices:
        raise FaultyReplyError("a chat completion without choices")
    usage = completion.usage or _Usage()
    prompt_tokens, reply_tokens = usage.prompt_tokens, usage.completion_tokens
    if prompt_tokens is None:
        prompt_tokens = estimate_tokens(question.messages) if question else 0
    if reply_tokens is None:
        reply_tokens = sum(count_tokens(each.message.content) for each in completion.choices)
    return [
        Reply(
            text=choice.message.content or choice.message.refusal or "",
            finish_reason=choice.finish_reason or "",
            first_tokens=_first_tokens(choice.logprobs),
            prompt_tokens=0 if index else prompt_tokens,
            reply_tokens=0 if index else reply_tokens,
        )
        for index, choice in enumerate(completion.choices)
    ]


def error_of(values: object) -> tuple[str, str | None, str | None]:
    """The message, parameter and code of an error's body, whichever of the usual shapes it has."""
    # Gemini's stands in an array.
    first = values[0] if isinstance(values, list) and values else values
    found = first.get("error", first) if isinstance(first, dict) else first
    if isinstance(found, dict):
        message = found.get("message") or found.get("detail") or str(found)
        param, code = found.get("param"), found.get("code")
        return str(message), param and str(param), code and str(code)
    return str(found), None, None


class _Token(BaseModel):
    token: str
    logprob: float


class _TokenChoices(_Token):
    top_logprobs: list[_Token] | None = None


class _Logprobs(BaseModel):
    content: list[_TokenChoices] | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _text_of_parts(cls, content: Any) -> Any:
        # As Mistral's reasoning models reply: what they thought is a part without a text.
        if not isinstance(content, list):
            return content
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None

    @field_validator("logprobs", mode="wrap")
    @classmethod
    def _of_this_protocol(cls, value: Any, read: ValidatorFunctionWrapHandler) -> _Logprobs | None:
        # In any other shape there are none: the reply itself is paid for, and may well be read.
        try:
            found: _Logprobs | None = read(value)
        except ValidationError:
            return None
        return found


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


def _is_refused(name: str, error: str, param: str | None) -> bool:
    if name == "n":
        return param == name or _ONE_REPLY.search(error) is not None
    # It may be named for its value, too; with max_tokens that is a prompt as long as the context.
    if param == name and name != "max_tokens":
        return True
    said = error.lower()
    return (param == name or name in said) and any(word in said for word in _REFUSALS)


def _first_tokens(logprobs: _Logprobs | None) -> tuple[dict[str, float], ...]:
    tokens = (logprobs.content or [])[:_KEPT_TOKENS] if logprobs else []
    # Several tokens may have the same text; the likelier one stands.
    return tuple(
        {each.token: each.logprob for each in reversed([token, *(token.top_logprobs or [])])}
        for token in tokens
    )
