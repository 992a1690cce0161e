"""NeMo Guardrails with an output rail that asks Tipstaff.

    python examples/integrations/nemo_rails.py HOST:PORT [EVALUATOR]

The model is scripted, so that it needs no key: it says the opposite of the retrieved chunk.
"""

from __future__ import annotations

import sys

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

from tipstaff import Client
from tipstaff.integrations import Guard
from tipstaff.integrations.nemo import register

QUESTION = "Can I return the kettle?"
FACTS = "Kitchen appliances can be returned within 14 days of delivery."
WRONG = "Yes, within 30 days."

_CONFIG = """
models: []
rails:
  output:
    flows:
      - tipstaff check output
"""
_FLOW = """
define bot refuse to respond
  "I'm sorry, I can't respond to that."

define subflow tipstaff check output
  $outcome = execute tipstaff_check
  if $outcome.is_blocked
    bot refuse to respond
    stop
"""


def main(target: str, evaluator: str = "") -> None:
    """Asks one question."""
    config = RailsConfig.from_content(colang_content=_FLOW, yaml_content=_CONFIG)
    rails = LLMRails(config, llm=FakeLLMModel(responses=[WRONG]))
    with Client(target, evaluator=evaluator, timeout=5) as client:
        register(rails, Guard(client))
        facts = {"relevant_chunks": FACTS}
        messages = [
            {"role": "context", "content": facts},
            {"role": "user", "content": QUESTION},
        ]
        print(rails.generate(messages=messages)["content"])


if __name__ == "__main__":
    main(*sys.argv[1:3])
