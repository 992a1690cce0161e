"""An agent of Pydantic AI whose blocked answers are replaced.

    python examples/integrations/pydantic_ai_agent.py HOST:PORT [EVALUATOR]

The model is scripted, so that it needs no key: it says the opposite of what its tool said.
"""

from __future__ import annotations

import asyncio
import sys

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from tipstaff import AsyncClient
from tipstaff.integrations import Guard
from tipstaff.integrations.pydantic_ai import output_validator

QUESTION = "Can I return the kettle?"
FACTS = "Kitchen appliances can be returned within 14 days of delivery."
WRONG = "Yes, within 30 days."


async def main(target: str, evaluator: str = "") -> None:
    """Asks the agent one question."""
    script = iter([ToolCallPart("return_policy", {}), TextPart(WRONG)])

    def step(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([next(script)])

    agent = Agent(FunctionModel(step))

    @agent.tool_plain
    def return_policy() -> str:
        """The shop's rules for returns."""
        return FACTS

    async with AsyncClient(target, evaluator=evaluator, timeout=5) as client:
        agent.output_validator(output_validator(Guard(client, on_block="replace")))
        print((await agent.run(QUESTION)).output)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
