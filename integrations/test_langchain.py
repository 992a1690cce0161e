"""LangChain's agents and LangGraph's graphs, with a scripted model."""

from __future__ import annotations

import asyncio

import pytest
from conftest import BAD, FACTS, GOOD, QUESTION
from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph

from tipstaff import AsyncClient
from tipstaff.integrations import BlockedError, Guard
from tipstaff.integrations.langchain import TipstaffMiddleware, check_node


class ScriptedModel(GenericFakeChatModel):
    """Gives messages in order, and keeps what it was asked."""

    asked: list = []

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, *args, **kwargs):
        self.asked.append(list(messages))
        return super()._generate(messages, *args, **kwargs)


@tool
def opening_hours() -> str:
    """The opening hours."""
    return FACTS


CALL = AIMessage("", tool_calls=[{"name": "opening_hours", "args": {}, "id": "1"}])


def agent_of(guard, *answers):
    model = ScriptedModel(messages=iter([CALL, *map(AIMessage, answers)]), asked=[])
    middleware = [TipstaffMiddleware(guard)]
    return create_agent(model, [opening_hours], middleware=middleware), model


def ask(agent, how):
    state = {"messages": [HumanMessage(QUESTION)]}
    return agent.invoke(state) if how == "sync" else asyncio.run(agent.ainvoke(state))


BOTH = pytest.mark.parametrize("how", ["sync", "async"])


@BOTH
def test_a_good_answer_passes_with_its_question_and_facts(guard, how):
    agent, _ = agent_of(guard(), GOOD)
    assert ask(agent, how)["messages"][-1].text == GOOD


@BOTH
def test_a_bad_answer_raises(guard, how):
    agent, _ = agent_of(guard(), BAD)
    with pytest.raises(BlockedError) as caught:
        ask(agent, how)
    read = caught.value.checked.interaction
    assert (read.input, read.output, read.ground_truth) == (QUESTION, BAD, FACTS)


@BOTH
def test_a_bad_answer_is_replaced(guard, how):
    agent, _ = agent_of(guard(on_block="replace", replacement="I don't know."), BAD)
    messages = ask(agent, how)["messages"]
    assert messages[-1].text == "I don't know."
    assert BAD not in [each.text for each in messages if isinstance(each, AIMessage)]


@BOTH
def test_a_bad_answer_is_given_again_with_the_words_named(guard, how):
    agent, model = agent_of(guard(on_block="retry"), BAD, GOOD)
    messages = ask(agent, how)["messages"]
    assert messages[-1].text == GOOD
    told = model.asked[-1][-1]
    assert isinstance(told, HumanMessage)
    assert "did not pass" in told.text
    assert '"open"' in told.text
    # What the model was told is no part of the conversation.
    assert told.text not in [each.text for each in messages]


def test_a_second_bad_answer_raises(guard):
    agent, _ = agent_of(guard(on_block="retry"), BAD, BAD)
    with pytest.raises(BlockedError):
        ask(agent, "sync")


def test_an_app_s_function_decides(guard):
    seen = []

    def decide(checked):
        seen.append(checked.score.verdict)
        return "asked a judge"

    agent, _ = agent_of(guard(on_block=decide), BAD)
    assert ask(agent, "sync")["messages"][-1].text == "asked a judge"
    assert seen == ["BLOCK"]


def test_a_missing_fact_is_review_and_not_passed(client):
    model = ScriptedModel(messages=iter([AIMessage(GOOD)]), asked=[])
    agent = create_agent(model, [], middleware=[TipstaffMiddleware(Guard(client))])
    with pytest.raises(BlockedError, match="MISSING_FIELD"):
        ask(agent, "sync")


def test_a_note_lets_through_and_tells(client):
    notes = []
    guard = Guard(client, on_review="note", on_note=notes.append)
    model = ScriptedModel(messages=iter([AIMessage(GOOD)]), asked=[])
    agent = create_agent(model, [], middleware=[TipstaffMiddleware(guard)])
    assert ask(agent, "sync")["messages"][-1].text == GOOD
    assert [each.score.verdict for each in notes] == ["REVIEW"]


def test_an_async_client_with_an_async_judge(target):
    async def run():
        async def judge(checked):
            await asyncio.sleep(0)
            return

        async with AsyncClient(target, evaluator="hours", timeout=10) as client:
            agent, _ = agent_of(Guard(client, on_block=judge), BAD)
            return await agent.ainvoke({"messages": [HumanMessage(QUESTION)]})

    assert asyncio.run(run())["messages"][-1].text == BAD


def graph_of(guard, *answers):
    model = ScriptedModel(messages=iter(map(AIMessage, answers)), asked=[])
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    read = check_node(guard, read=read_with_facts)
    builder.add_node("check", read)
    builder.add_edge(START, "model")
    builder.add_edge("model", "check")
    builder.add_conditional_edges(
        "check",
        lambda state: "model" if isinstance(state["messages"][-1], HumanMessage) else END,
        ["model", END],
    )
    return builder.compile()


def read_with_facts(messages):
    from tipstaff import Interaction

    return Interaction(messages[0].text, messages[-1].text, FACTS)


@BOTH
def test_a_node_of_a_graph_replaces_and_retries(guard, how):
    replaced = ask(graph_of(guard(on_block="replace"), BAD), how)["messages"]
    assert [each.text for each in replaced] == [QUESTION, "I can't answer that."]
    again = ask(graph_of(guard(on_block="retry"), BAD, GOOD), how)["messages"]
    assert again[-1].text == GOOD
    with pytest.raises(BlockedError):
        ask(graph_of(guard(on_block="retry"), BAD, BAD), how)


def test_the_example(target, capsys, monkeypatch):
    import langchain_agent

    # Words that this bundle knows; the example's own are for the demo's.
    for name, text in {"QUESTION": QUESTION, "FACTS": FACTS, "WRONG": BAD}.items():
        monkeypatch.setattr(langchain_agent, name, text)
    langchain_agent.main(target, "hours")
    assert "held back" in capsys.readouterr().out
