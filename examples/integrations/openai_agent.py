"""An agent of the OpenAI Agents SDK that has to answer again where Tipstaff blocks.

    python examples/integrations/openai_agent.py HOST:PORT [EVALUATOR]

The model is scripted, so that it needs no key: its first answer contradicts its tool.
"""

from __future__ import annotations

import asyncio
import sys

from agents import Agent, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call

from tipstaff import AsyncClient
from tipstaff.integrations import Guard
from tipstaff.integrations.openai_agents import run_checked


@function_tool
def opening_hours() -> str:
    """The shop's opening hours."""
    return "open monday closed sunday"


async def main(target: str, evaluator: str = "") -> None:
    """Asks the agent one question."""
    set_tracing_disabled(True)
    model = ScriptedModel(
        [
            [function_call("opening_hours", {}, call_id="1")],
            [assistant_message("open sunday")],
            [assistant_message("closed sunday")],
        ]
    )
    agent = Agent("shop", model=model, tools=[opening_hours])
    async with AsyncClient(target, evaluator=evaluator, timeout=5) as client:
        guard = Guard(client, on_block="retry", on_review="raise")
        done = await run_checked(agent, "open sunday", guard=guard)
    print(f"{done.text} ({done.checked.describe()})")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
