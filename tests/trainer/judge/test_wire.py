"""Replies and errors of different endpoints, with bodies as they send them."""

from __future__ import annotations

import pytest

from tipstaff_trainer.judge.wire import Dialect, FaultyReplyError, error_of, parse_completion

SENT = ("model", "logprobs", "top_logprobs", "response_format", "temperature", "n", "max_tokens")


def completion(content="Yes", usage=None, logprobs=None):
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    return {"choices": [choice], "usage": usage}


@pytest.mark.parametrize(
    ("message", "param", "without"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
         "'max_completion_tokens' instead.", "max_tokens", "max_tokens"),
        ("Unsupported value: 'temperature' does not support 0 with this model.", "temperature",
         "temperature"),
        ("You are not allowed to request logprobs from this model.", None, "logprobs"),
        ("Logprobs is not enabled for models/gemini-2.5-pro", None, "logprobs"),
        ("5 is greater than the maximum of 1 - 'logprobs'", "logprobs", "logprobs"),
        ("This response_format type is unavailable now", None, "response_format"),
        ("'n' : number must be at most 1", None, "n"),
        ("Only one completion choice is allowed", None, "n"),
        ("n must equal 1 (multi-choice is not supported)", None, "n"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_refused_is_done_without(message, param, without):
    dialect = Dialect()
    assert dialect.learn(SENT, message, param)
    assert dialect.without == {without}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("'max_tokens' or 'max_completion_tokens' is too large: 300. This model's maximum context "
         "length is 256 tokens.", "max_tokens"),
        ("Your input was flagged by moderation and is not allowed.", None),
        ("The response was filtered.", "prompt"),
    ],
)  # fmt: skip
def test_a_refusal_of_what_was_asked_changes_no_parameter(message, param):
    dialect = Dialect()
    assert not dialect.learn(SENT, message, param)
    assert not dialect.without


@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [{"token": "Yes", "logprob": -0.1, "top_logprobs": None}]},
        {"content": [{"token": "Yes"}]},
        {"tokens": ["Yes"], "token_logprobs": [-0.1]},
        [-0.1],
    ],
)
def test_a_reply_with_odd_log_probabilities_is_a_reply(logprobs):
    (reply,) = parse_completion(completion(logprobs=logprobs))
    assert reply.text == "Yes"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None}])
def test_what_is_not_said_to_have_been_paid_is_estimated(usage):
    (reply,) = parse_completion(completion("Yes, it is what was asked.", usage))
    assert reply.reply_tokens == 7


def test_a_reply_in_parts_is_its_texts():
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "No?"}]}
    (reply,) = parse_completion(completion([thought, {"type": "text", "text": "Yes"}]))
    assert reply.text == "Yes"


def test_an_error_that_comes_as_a_success_is_told():
    with pytest.raises(FaultyReplyError, match="Provider returned error"):
        parse_completion({"error": {"message": "Provider returned error", "code": 502}})


def test_an_error_in_an_array_is_told():
    assert error_of([{"error": {"message": "models/x is not found", "code": 404}}]) == (
        "models/x is not found", None, "404"
    )  # fmt: skip
