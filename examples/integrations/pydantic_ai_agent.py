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


async def main(target: str, evaluator: str = "") -> None:
    """Asks the agent one question."""
    script = iter([ToolCallPart("opening_hours", {}), TextPart("open sunday")])

    def step(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([next(script)])

    agent = Agent(FunctionModel(step))

    @agent.tool_plain
    def opening_hours() -> str:
        """The shop's opening hours."""
        return "open monday closed sunday"

    async with AsyncClient(target, evaluator=evaluator, timeout=5) as client:
        agent.output_validator(output_validator(Guard(client, on_block="replace")))
        print((await agent.run("open sunday")).output)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
