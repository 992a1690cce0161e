"""The chat completions protocol: request bodies from questions, replies from response bodies.

https://platform.openai.com/docs/api-reference/chat. vLLM, llama.cpp, Ollama, LiteLLM and the
providers speak it too, each without some of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler, field_validator

from tipstaff_trainer.judge.prompt import JSON_SCHEMA, count_tokens, estimate_tokens
from tipstaff_trainer.judge.question import Question
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import JudgeSettings
from tipstaff_trainer.progress import Reporter

# Enough for the spellings of two words; some endpoints refuse more.
_TOP_LOGPROBS = 5
_KEPT_TOKENS = 4
# Parameters that can be left out where an endpoint doesn't support them.
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
# Every message contains the letter n, so look for the usual wordings: Groq's "'n' : number must be
# at most 1", llama.cpp's "Only one completion choice is allowed".
_ONE_REPLY = re.compile(
    r"""(['"`])n\1|(?<![\\\w])n\s*(?:[=<>]|must|should)|\b(one|multiple) (completion|choice)""",
    re.IGNORECASE,
)


class FaultyReplyError(Exception):
    """A response can't be used, for example since it is no chat completion; a retry may help."""


@dataclass(slots=True)
class Dialect:
    """The parameters that an endpoint doesn't support, learned from its refusals.

    Attributes:
        reporter: Takes a note about each, once.
        without: The names of these parameters.
    """

    reporter: Reporter = field(default_factory=Reporter)
    without: set[str] = field(default_factory=set)

    def learn(self, sent: Container[str], error: str, param: str | None) -> bool:
        """Leaves an optional parameter out of all further calls, if a refusal is about one.

        Args:
            sent: The parameters of the request that was refused.
            error: The refusal's message.
            param: The parameter that the refusal names, if any.

        Returns:
            Whether the refusal is about an optional parameter.
        """
        for name, consequence in _OPTIONAL.items():
            if name in sent and _is_refused(name, error, param):
                # Several calls may have been on their way when the first was refused.
                if name not in self.without:
                    self.without.add(name)
                    self.reporter.note(f"the endpoint refused {name}: {consequence}")
                return True
        return False


def request_body(
    question: Question, settings: JudgeSettings, dialect: Dialect, replies: int
) -> dict[str, Any]:
    """The request's JSON for a question."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": question.messages,
        "temperature": question.temperature,
        "max_tokens": settings.max_reply_tokens,
    } | (settings.extra_body or {})
    if question.form == "verdict_first":
        body |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
    else:
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
    """The part of a request's `extra_body` that a refusal names, if any."""
    top = (param or "").split(".")[0]
    for name in extra_body:
        if name == top or any(f"{quote}{name}{quote}" in error for quote in "'\"`"):
            return name
    return None


def parse_completion(values: object, question: Question | None = None) -> list[Reply]:
    """Replies of one call; the call's reported or estimated tokens are charged to the first.

    Raises:
        FaultyReplyError: `values` is not a chat completion.
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
            text=choice.message.text,
            finish_reason=choice.finish_reason or "",
            first_tokens=_first_tokens(choice.logprobs),
            prompt_tokens=0 if index else prompt_tokens,
            reply_tokens=0 if index else reply_tokens,
        )
        for index, choice in enumerate(completion.choices)
    ]


def error_of(values: object) -> tuple[str, str | None, str | None]:
    """The message, parameter and code of an error's body, in any of the usual shapes."""
    # Gemini puts it into an array.
    first = values[0] if isinstance(values, list) and values else values
    error = first.get("error", first) if isinstance(first, dict) else first
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or str(error)
        param, code = error.get("param"), error.get("code")
        return str(message), param and str(param), code and str(code)
    return str(error), None, None


class _Token(BaseModel):
    token: str
    logprob: float
    top_logprobs: list[_Token] | None = None


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    # Thoughts, by the names that endpoints give them.
    reasoning_content: str | None = None
    reasoning: str | None = None

    @property
    def text(self) -> str:
        """What the judge answered; where it only thought, its thoughts, marked as such."""
        thoughts = self.reasoning_content or self.reasoning
        return self.content or self.refusal or (f"<think>{thoughts}</think>" if thoughts else "")

    @field_validator("reasoning_content", "reasoning", mode="before")
    @classmethod
    def _drop_other_shapes(cls, value: Any) -> Any:
        return value if isinstance(value, str) else None

    @field_validator("content", mode="before")
    @classmethod
    def _text_of_parts(cls, content: Any) -> Any:
        # Mistral's reasoning models reply in parts; their thoughts are in parts without a text.
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
    def _drop_other_shapes(
        cls, value: Any, validate: ValidatorFunctionWrapHandler
    ) -> _Logprobs | None:
        # Log-probabilities in another shape are ignored: the reply is paid for and may be readable.
        with suppress(ValidationError):
            return cast("_Logprobs | None", validate(value))
        return None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


def _is_refused(name: str, error: str, param: str | None) -> bool:
    if name == "n":
        return param == name or _ONE_REPLY.search(error) is not None
    # A refusal may also name a parameter because of its value. For max_tokens, the reason may be a
    # prompt as long as the context.
    if param == name and name != "max_tokens":
        return True
    message = error.lower()
    return (param == name or name in message) and any(word in message for word in _REFUSALS)


def _first_tokens(logprobs: _Logprobs | None) -> tuple[dict[str, float], ...]:
    tokens = (logprobs.content or [])[:_KEPT_TOKENS] if logprobs else []
    # Several tokens may have the same text; the likelier one wins.
    return tuple(
        {each.token: each.logprob for each in reversed([token, *(token.top_logprobs or [])])}
        for token in tokens
    )
