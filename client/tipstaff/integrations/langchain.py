"""LangChain and LangGraph.

    agent = create_agent(model, tools, middleware=[TipstaffMiddleware(Guard(client))])

In a graph of LangGraph's own, `check_node(guard)` is a node after the one that calls the model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda

from tipstaff.integrations.guard import Guard, Outcome
from tipstaff.types import Interaction

Read = Callable[[Sequence[AnyMessage]], Interaction]


def read_messages(messages: Sequence[AnyMessage]) -> Interaction:
    """The last answer, the question before it, and the results of tools in between.

    Args:
        messages: The conversation, ending with the answer.
    """
    question: str | None = None
    facts: list[str] = []
    for message in reversed(messages[:-1]):
        if isinstance(message, HumanMessage):
            question = message.text
            break
        if isinstance(message, ToolMessage) and message.text:
            facts.append(message.text)
    return Interaction(question, messages[-1].text, "\n\n".join(reversed(facts)) or None)


class TipstaffMiddleware(AgentMiddleware):
    """Checks each answer of an agent's model; turns that only call tools are let through.

    Args:
        guard: Decides what to do with answers that fail.
        read: Gives the interaction in a conversation that ends with the answer, where facts are
            elsewhere than in results of tools.
    """

    def __init__(self, guard: Guard, *, read: Read = read_messages) -> None:
        super().__init__()
        self._guard = guard
        self._read = read

    def wrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]
    ) -> ModelResponse:
        """Calls the model, and checks its answer.

        Raises:
            BlockedError: The answer may not pass.
            ScoringError: There is no score.
        """
        turn = _Turn(request, self._read)
        while turn.result is None:
            if (interaction := turn.answered(handler(turn.request))) is not None:
                turn.checked(self._guard.check(interaction, turn.attempt))
        return turn.result

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        """Calls the model, and checks its answer, in asyncio.

        Raises:
            BlockedError: The answer may not pass.
            ScoringError: There is no score.
        """
        turn = _Turn(request, self._read)
        while turn.result is None:
            if (interaction := turn.answered(await handler(turn.request))) is not None:
                turn.checked(await self._guard.acheck(interaction, turn.attempt))
        return turn.result


class _Turn:
    """One turn of the model, with its retries; whoever has it calls the model and the guard.

    Attributes:
        request: What to ask the model next.
        attempt: How often the model was asked again.
        result: The response to give; None as long as the turn goes on.
    """

    def __init__(self, request: ModelRequest, read: Read) -> None:
        self.request = request
        self.attempt = 0
        self.result: ModelResponse | None = None
        self._read = read
        # A retry adds advice to the messages; the question that was asked comes before it.
        self._messages = list(request.messages)
        self._response: ModelResponse | None = None
        self._answer: AIMessage | None = None

    def answered(self, response: ModelResponse) -> Interaction | None:
        """What to check in the model's response; None ends the turn, as one that calls tools."""
        self._response, self._answer = response, _answer(response)
        if self._answer is None:
            self.result = response
            return None
        return self._read([*self._messages, self._answer])

    def checked(self, outcome: Outcome) -> None:
        """Ends the turn, or makes the next request."""
        answer = self._answer
        assert answer is not None
        if outcome.kind == "retry":
            messages = [*self.request.messages, answer, _told(outcome)]
            self.request = self.request.override(messages=messages)
            self.attempt += 1
        elif outcome.kind == "replace":
            self.result = ModelResponse(result=[AIMessage(outcome.text, id=answer.id)])
        else:
            self.result = self._response


def check_node(guard: Guard, *, read: Read = read_messages) -> RunnableLambda[Any, Any]:
    """A node of LangGraph that checks the last message of a state's `messages`.

    For `retry` it adds a message of the user's to the state: route from this node back to the
    model's where the last message is the user's.

    Args:
        guard: Decides what to do with answers that fail.
        read: As for `TipstaffMiddleware`.
    """

    def check(state: Mapping[str, Any]) -> dict[str, Any]:
        return _update(state, guard.check(*asked(state)))

    async def acheck(state: Mapping[str, Any]) -> dict[str, Any]:
        return _update(state, await guard.acheck(*asked(state)))

    def asked(state: Mapping[str, Any]) -> tuple[Interaction, int]:
        messages = state["messages"]
        return read(_without_retries(messages)), _retries(messages)

    return RunnableLambda(check, acheck, name="tipstaff")


_RETRY = "tipstaff_retry"


def _update(state: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    if outcome.kind == "allow":
        return {}
    if outcome.kind == "replace":
        return {"messages": [AIMessage(outcome.text, id=state["messages"][-1].id)]}
    return {"messages": [_told(outcome)]}


def _told(outcome: Outcome) -> HumanMessage:
    return HumanMessage(outcome.text, additional_kwargs={_RETRY: True})


def _retries(messages: Sequence[AnyMessage]) -> int:
    """How often the model was asked again since the user's last message."""
    count = 0
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            if not message.additional_kwargs.get(_RETRY):
                break
            count += 1
    return count


def _without_retries(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    return [each for each in messages if not each.additional_kwargs.get(_RETRY)]


def _answer(response: ModelResponse) -> AIMessage | None:
    """The answer in a response; None for a turn that calls tools."""
    for message in reversed(response.result):
        if isinstance(message, AIMessage):
            return message if message.text and not message.tool_calls else None
    return None
