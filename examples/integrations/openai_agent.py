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

QUESTION = "Can I return the kettle?"
FACTS = "Kitchen appliances can be returned within 14 days of delivery."
WRONG = "Yes, within 30 days."
RIGHT = "Yes, within 14 days."


@function_tool
def return_policy() -> str:
    """The shop's rules for returns."""
    return FACTS


async def main(target: str, evaluator: str = "") -> None:
    """Asks the agent one question."""
    set_tracing_disabled(True)
    model = ScriptedModel(
        [
            [function_call("return_policy", {}, call_id="1")],
            [assistant_message(WRONG)],
            [assistant_message(RIGHT)],
        ]
    )
    agent = Agent("shop", model=model, tools=[return_policy])
    async with AsyncClient(target, evaluator=evaluator, timeout=5) as client:
        guard = Guard(client, on_block="retry", on_review="raise")
        done = await run_checked(agent, QUESTION, guard=guard)
    print(f"{done.text} ({done.checked.describe()})")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
