"""Pydantic AI, alone and with its harness, with a scripted model."""

from __future__ import annotations

import asyncio

import pytest
from conftest import BAD, FACTS, GOOD, QUESTION
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai_harness.guardrails import OutputBlocked

from tipstaff import Interaction
from tipstaff.integrations import BlockedError
from tipstaff.integrations.pydantic_ai import output_guardrail, output_validator


def agent_of(*answers, guardrail=None, validator=None):
    script = iter([ToolCallPart("opening_hours", {}), *map(TextPart, answers)])
    asked = []

    def step(messages, info):
        asked.append(list(messages))
        return ModelResponse([next(script)])

    capabilities = [] if guardrail is None else [output_guardrail(guardrail)]
    agent = Agent(FunctionModel(step), capabilities=capabilities, retries=3)

    @agent.tool_plain
    def opening_hours() -> str:
        """The opening hours."""
        return FACTS

    if validator is not None:
        agent.output_validator(output_validator(validator))
    return agent, asked


def ask(agent, how="async"):
    if how == "sync":
        return agent.run_sync(QUESTION).output
    return asyncio.run(agent.run(QUESTION)).output


FORMS = pytest.mark.parametrize("form", ["validator", "guardrail"])


@FORMS
def test_a_good_answer_passes(guard, form):
    agent, _ = agent_of(GOOD, **{form: guard()})
    assert ask(agent) == GOOD


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_bad_answer_raises_with_what_was_read(guard, how):
    agent, _ = agent_of(BAD, validator=guard())
    with pytest.raises(BlockedError) as caught:
        ask(agent, how)
    assert caught.value.checked.interaction == Interaction(QUESTION, BAD, FACTS)


def test_a_bad_answer_is_the_harness_s_block(guard):
    agent, _ = agent_of(BAD, guardrail=guard())
    with pytest.raises(OutputBlocked, match="BLOCK"):
        ask(agent)


@FORMS
def test_a_bad_answer_is_replaced(guard, form):
    agent, _ = agent_of(BAD, **{form: guard(on_block="replace", replacement="No.")})
    assert ask(agent) == "No."


@FORMS
def test_a_bad_answer_is_given_again(guard, form):
    agent, asked = agent_of(BAD, GOOD, **{form: guard(on_block="retry")})
    assert ask(agent) == GOOD
    assert '"open"' in str(asked[-1])


@FORMS
def test_a_second_bad_answer_is_blocked(guard, form):
    agent, _ = agent_of(BAD, BAD, **{form: guard(on_block="retry")})
    with pytest.raises(BlockedError if form == "validator" else OutputBlocked):
        ask(agent)


@FORMS
def test_an_async_judge_decides(guard, form):
    async def judge(checked):
        return f"judged {checked.score.verdict}"

    agent, _ = agent_of(BAD, **{form: guard(on_block=judge)})
    assert ask(agent) == "judged BLOCK"


def test_the_example(target, capsys, monkeypatch):
    import pydantic_ai_agent

    # Words that this bundle knows; the example's own are for the demo's.
    for name, text in {"QUESTION": QUESTION, "FACTS": FACTS, "WRONG": BAD}.items():
        monkeypatch.setattr(pydantic_ai_agent, name, text)
    asyncio.run(pydantic_ai_agent.main(target, "hours"))
    assert "I can't answer that." in capsys.readouterr().out
