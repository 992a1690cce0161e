"""An agent of LangChain's whose answers Tipstaff checks.

    python examples/integrations/langchain_agent.py HOST:PORT [EVALUATOR]

The model is scripted, so that it needs no key: it calls a tool, then says the opposite of what the
tool said.
"""

from __future__ import annotations

import sys

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from tipstaff import Client
from tipstaff.integrations import BlockedError, Guard
from tipstaff.integrations.langchain import TipstaffMiddleware

QUESTION = "Can I return the kettle?"
FACTS = "Kitchen appliances can be returned within 14 days of delivery."
WRONG = "Yes, within 30 days."


class ScriptedModel(GenericFakeChatModel):
    """Stands in for a model that can call tools."""

    def bind_tools(self, tools: object, **options: object) -> ScriptedModel:
        """Takes any tools."""
        return self


@tool
def return_policy() -> str:
    """The shop's rules for returns."""
    return FACTS


def main(target: str, evaluator: str = "") -> None:
    """Asks the agent one question."""
    call = AIMessage("", tool_calls=[{"name": "return_policy", "args": {}, "id": "1"}])
    model = ScriptedModel(messages=iter([call, AIMessage(WRONG)]))
    with Client(target, evaluator=evaluator, timeout=5) as client:
        guard = Guard(client, on_block="raise", on_review="note", on_note=print)
        agent = create_agent(model, [return_policy], middleware=[TipstaffMiddleware(guard)])
        try:
            result = agent.invoke({"messages": [{"role": "user", "content": QUESTION}]})
            print(result["messages"][-1].text)
        except BlockedError as error:
            print(error)


if __name__ == "__main__":
    main(*sys.argv[1:3])
