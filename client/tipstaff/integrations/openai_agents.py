"""OpenAI Agents.

    result = await run_checked(agent, "When do you open?", guard=Guard(client))

runs an agent and does with its answer what the guard says. Inside of other code, an
`output_guardrail` trips instead: the SDK then raises `OutputGuardrailTripwireTriggered`. It offers
no other way, so that `replace` and `retry` trip too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents import (
    Agent,
    GuardrailFunctionOutput,
    OutputGuardrail,
    RunContextWrapper,
    Runner,
    RunResult,
    ToolGuardrailFunctionOutput,
    ToolOutputGuardrail,
    ToolOutputGuardrailData,
)

from tipstaff.integrations.guard import BlockedError, Checked, Guard
from tipstaff.types import Interaction

Items = Sequence[Mapping[str, Any]]
Read = Callable[[Items, str], Interaction]


@dataclass(frozen=True, slots=True)
class CheckedResult:
    """The result of a run.

    Attributes:
        text: The answer, or what the guard answers in its place.
        result: The SDK's result.
        checked: The answer and its score.
    """

    text: str
    result: RunResult
    checked: Checked


def read_items(items: Items, answer: str) -> Interaction:
    """The answer, the last message of the user, and the outputs of tools after it.

    Args:
        items: The conversation in OpenAI's form.
        answer: The answer.
    """
    question: str | None = None
    facts: list[str] = []
    for item in items:
        if item.get("role") == "user":
            question, facts = _text(item.get("content")), []
        elif item.get("type") == "function_call_output":
            facts.append(_text(item.get("output")) or "")
    return Interaction(question, answer, "\n\n".join(filter(None, facts)) or None)


async def run_checked(
    agent: Agent[Any],
    input: str | list[Any],
    *,
    guard: Guard,
    read: Read = read_items,
    **options: Any,
) -> CheckedResult:
    """Runs an agent, and checks its answer.

    Args:
        agent: The agent.
        input: As for `Runner.run`.
        guard: Decides what to do with an answer that fails.
        read: Gives the interaction, where facts are elsewhere than in outputs of tools.
        options: More arguments for `Runner.run`.

    Raises:
        BlockedError: The answer may not pass.
        ScoringError: There is no score.
    """
    attempt = 0
    asked: list[Any] = [{"role": "user", "content": input}] if isinstance(input, str) else input
    known = list(asked)
    while True:
        result = await Runner.run(agent, asked, **options)
        text = str(result.final_output)
        items = result.to_input_list()
        outcome = await guard.acheck(read([*known, *items[len(asked) :]], text), attempt)
        if outcome.kind != "retry":
            answer = text if outcome.kind == "allow" else outcome.text
            return CheckedResult(answer, result, outcome.checked)
        # What this attempt found out stays known; what the model is told is no question.
        known += items[len(asked) :]
        asked = [*items, {"role": "user", "content": outcome.text}]
        attempt += 1


def output_guardrail(guard: Guard, *, read: Read = read_items) -> OutputGuardrail[Any]:
    """A guardrail for `Agent(output_guardrails=[…])`; trips for all that the guard holds back.

    The SDK gives it the input of the turn, and no outputs of tools: where an evaluator reads the
    ground truth, give a `read` that finds it, or use `run_checked`.

    Args:
        guard: Says what may pass.
        read: Gives the interaction.
    """

    async def check(
        context: RunContextWrapper[Any], agent: Agent[Any], output: Any
    ) -> GuardrailFunctionOutput:
        checked, held = await _holds_back(guard, read(context.turn_input, str(output)))
        return GuardrailFunctionOutput(checked, tripwire_triggered=held)

    return OutputGuardrail(guardrail_function=check, name="tipstaff")


def tool_output_guardrail(
    guard: Guard, *, read: Callable[[ToolOutputGuardrailData], Interaction] | None = None
) -> ToolOutputGuardrail[Any]:
    """A guardrail for `function_tool(tool_output_guardrails=[…])`.

    The model reads the guard's words in place of an output that the guard holds back.

    Args:
        guard: Says what may pass; for `raise` the run ends.
        read: Gives the interaction; by default the tool's output is its output.
    """

    async def check(data: ToolOutputGuardrailData) -> ToolGuardrailFunctionOutput:
        interaction = read(data) if read else Interaction(output=str(data.output))
        try:
            outcome = await guard.acheck(interaction)
        except BlockedError as error:
            return ToolGuardrailFunctionOutput.raise_exception(error.checked)
        if outcome.kind == "allow":
            return ToolGuardrailFunctionOutput.allow(outcome.checked)
        return ToolGuardrailFunctionOutput.reject_content(outcome.text, outcome.checked)

    return ToolOutputGuardrail(guardrail_function=check, name="tipstaff")


async def _holds_back(guard: Guard, interaction: Interaction) -> tuple[Checked, bool]:
    try:
        outcome = await guard.acheck(interaction)
    except BlockedError as error:
        return error.checked, True
    return outcome.checked, outcome.kind != "allow"


def _text(content: Any) -> str | None:
    if content is None or isinstance(content, str):
        return content
    parts = [each.get("text") for each in content if isinstance(each, Mapping)]
    return "\n".join(part for part in parts if isinstance(part, str)) or None
