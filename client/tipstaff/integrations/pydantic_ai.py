"""Pydantic AI.

    agent = Agent(model)
    agent.output_validator(output_validator(Guard(client)))

With the harness, `output_guardrail(guard)` is a capability instead, as in
`Agent(model, capabilities=[output_guardrail(guard)])`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.messages import ModelRequest, ToolReturnPart, UserPromptPart

from tipstaff.integrations.guard import BlockedError, Guard
from tipstaff.types import Interaction

if TYPE_CHECKING:
    from pydantic_ai_harness.guardrails import GuardrailResult, OutputGuardrail

Read = Callable[[RunContext[Any], str], Interaction]


def read_context(ctx: RunContext[Any], output: str) -> Interaction:
    """The answer, the last prompt of the user, and what tools returned after it.

    Args:
        ctx: The run's context.
        output: The answer.
    """
    question = ctx.prompt if isinstance(ctx.prompt, str) else None
    facts: list[str] = []
    for message in ctx.messages:
        for part in message.parts if isinstance(message, ModelRequest) else ():
            if isinstance(part, UserPromptPart):
                facts = []
                question = part.content if isinstance(part.content, str) else question
            elif isinstance(part, ToolReturnPart):
                facts.append(part.model_response_str())
    return Interaction(question, output, "\n\n".join(filter(None, facts)) or None)


def output_validator(
    guard: Guard, *, read: Read = read_context
) -> Callable[[RunContext[Any], Any], Awaitable[Any]]:
    """A function for `agent.output_validator`; needs Pydantic AI alone.

    Args:
        guard: Decides what to do with answers that fail. `retry` takes the run's own retries of
            outputs, so allow for them: `Agent(retries=…)`.
        read: Gives the interaction, where facts are elsewhere than in what tools returned.
    """

    async def validate(ctx: RunContext[Any], output: Any) -> Any:
        if ctx.partial_output:
            return output
        outcome = await guard.acheck(read(ctx, str(output)), ctx.retry)
        if outcome.kind == "retry":
            raise ModelRetry(outcome.text)
        return output if outcome.kind == "allow" else outcome.text

    return validate


def output_guardrail(guard: Guard, *, read: Read = read_context) -> OutputGuardrail[Any]:
    """A capability of the harness; what is blocked raises its `OutputBlocked`.

    Args:
        guard: Decides what to do with answers that fail.
        read: As for `output_validator`.
    """
    from pydantic_ai_harness.guardrails import GuardrailResult, OutputGuardrail

    async def check(ctx: RunContext[Any], output: object) -> GuardrailResult:
        try:
            outcome = await guard.acheck(read(ctx, str(output)), ctx.retry)
        except BlockedError as error:
            return GuardrailResult.block(str(error))
        if outcome.kind == "allow":
            return GuardrailResult.allow()
        if outcome.kind == "replace":
            return GuardrailResult.replace(outcome.text)
        return GuardrailResult.retry(outcome.text)

    # The harness looks for the context by the annotation itself, not by its text.
    check.__annotations__ = {"ctx": RunContext, "output": object, "return": GuardrailResult}
    return OutputGuardrail(guard=check)
