"""The OpenAI Agents SDK, with its own scripted model."""

from __future__ import annotations

import asyncio

import agents
import pytest
from agents import Agent, Runner, function_tool
from agents.exceptions import (
    OutputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
)
from agents.testing import ScriptedModel, assistant_message, function_call
from conftest import BAD, FACTS, GOOD, QUESTION

from tipstaff import Interaction
from tipstaff.integrations import BlockedError
from tipstaff.integrations.openai_agents import (
    output_guardrail,
    run_checked,
    tool_output_guardrail,
)

agents.set_tracing_disabled(True)


@function_tool
def opening_hours() -> str:
    """The opening hours."""
    return FACTS


def agent_of(*answers, calls_tool=True, **options):
    steps = [[function_call("opening_hours", {}, call_id="1")]] if calls_tool else []
    model = ScriptedModel([*steps, *([assistant_message(each)] for each in answers)])
    tools = options.pop("tools", [opening_hours])
    return Agent("shop", model=model, tools=tools, **options), model


def run(agent, guard):
    return asyncio.run(run_checked(agent, QUESTION, guard=guard))


def test_a_good_answer_passes(guard):
    agent, _ = agent_of(GOOD)
    done = run(agent, guard())
    assert done.text == done.result.final_output == GOOD
    assert done.checked.score.passed


def test_a_bad_answer_raises_with_what_was_read(guard):
    agent, _ = agent_of(BAD)
    with pytest.raises(BlockedError) as caught:
        run(agent, guard())
    assert caught.value.checked.interaction == Interaction(QUESTION, BAD, FACTS)


def test_a_bad_answer_is_replaced(guard):
    agent, _ = agent_of(BAD)
    assert run(agent, guard(on_block="replace", replacement="No.")).text == "No."


def test_a_bad_answer_is_given_again_with_the_facts_of_before(guard):
    agent, model = agent_of(BAD, GOOD)
    done = run(agent, guard(on_block="retry"))
    assert done.text == GOOD
    assert done.checked.interaction == Interaction(QUESTION, GOOD, FACTS)
    assert "did not pass" in str(model.last_call.input)
    assert '"open"' in str(model.last_call.input)


def test_a_second_bad_answer_raises(guard):
    agent, _ = agent_of(BAD, BAD)
    with pytest.raises(BlockedError):
        run(agent, guard(on_block="retry"))


def test_an_async_judge_decides(guard):
    async def judge(checked):
        return f"judged {checked.score.verdict}"

    agent, _ = agent_of(BAD)
    assert run(agent, guard(on_block=judge)).text == "judged BLOCK"


def read_with_facts(items, answer):
    assert items[-1]["content"] == QUESTION
    return Interaction(QUESTION, answer, FACTS)


def test_an_output_guardrail_trips(guard):
    check = output_guardrail(guard(), read=read_with_facts)
    good, _ = agent_of(GOOD, calls_tool=False, output_guardrails=[check])
    assert asyncio.run(Runner.run(good, QUESTION)).final_output == GOOD
    bad, _ = agent_of(BAD, calls_tool=False, output_guardrails=[check])
    with pytest.raises(OutputGuardrailTripwireTriggered) as caught:
        asyncio.run(Runner.run(bad, QUESTION))
    assert caught.value.guardrail_result.output.output_info.score.verdict == "BLOCK"


def test_an_output_guardrail_without_facts_trips_as_missing(guard):
    check = output_guardrail(guard())
    agent, _ = agent_of(GOOD, calls_tool=False, output_guardrails=[check])
    with pytest.raises(OutputGuardrailTripwireTriggered) as caught:
        asyncio.run(Runner.run(agent, QUESTION))
    score = caught.value.guardrail_result.output.output_info.score
    assert "MISSING_FIELD" in score.reasons


@pytest.mark.parametrize(("action", "read"), [("replace", BAD), ("note", BAD), ("raise", BAD)])
def test_a_tool_s_output_is_checked(guard, action, read):
    check = tool_output_guardrail(
        guard(on_block=action, replacement="The tool failed.", on_note=print),
        read=lambda data: Interaction(QUESTION, data.output, FACTS),
    )

    @function_tool(name_override="opening_hours", tool_output_guardrails=[check])
    def hours() -> str:
        """The opening hours."""
        return read

    agent, model = agent_of(GOOD, tools=[hours])
    if action == "raise":
        with pytest.raises(ToolOutputGuardrailTripwireTriggered):
            asyncio.run(Runner.run(agent, QUESTION))
        return
    asyncio.run(Runner.run(agent, QUESTION))
    expected = "The tool failed." if action == "replace" else BAD
    outputs = [each["output"] for each in model.last_call.input if "output" in each]
    assert outputs == [expected]


def test_the_example(target, capsys, monkeypatch):
    import openai_agent

    # Words that this bundle knows; the example's own are for the demo's.
    for name, text in {"QUESTION": QUESTION, "FACTS": FACTS, "WRONG": BAD, "RIGHT": GOOD}.items():
        monkeypatch.setattr(openai_agent, name, text)
    asyncio.run(openai_agent.main(target, "hours"))
    assert "closed sunday" in capsys.readouterr().out
