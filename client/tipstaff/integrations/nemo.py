"""NeMo Guardrails: an action that sends the question and the retrieved chunks, too.

    rails = LLMRails(config)
    register(rails, Guard(client))

    define subflow tipstaff check output
      $outcome = execute tipstaff_check
      if $outcome.is_blocked
        bot refuse to respond
        stop

with `rails: {output: {flows: [tipstaff check output]}}` in the configuration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from nemoguardrails import LLMRails
from nemoguardrails.actions import action
from nemoguardrails.actions.rail_outcome import RailOutcome, TransformTarget

from tipstaff.integrations.guard import BlockedError, Guard, log_held_back
from tipstaff.types import Interaction

NAME = "tipstaff_check"
# A rail can't ask the model again: none of the guard's retries is left.
_LAST_ATTEMPT = sys.maxsize
Read = Callable[[Mapping[str, Any]], Interaction]


def read_context(context: Mapping[str, Any]) -> Interaction:
    """The bot's message, the user's before it, and the relevant chunks.

    Args:
        context: The context of a NeMo action.
    """
    chunks = context.get("relevant_chunks")
    if isinstance(chunks, list):
        chunks = "\n\n".join(str(chunk) for chunk in chunks)
    return Interaction(
        context.get("last_user_message") or context.get("user_message"),
        context.get("bot_message"),
        chunks or None,
    )


def register(rails: LLMRails, guard: Guard, *, read: Read = read_context) -> None:
    """Registers the action `tipstaff_check`.

    Args:
        rails: The rails.
        guard: Decides what to do with answers that fail; `retry` blocks, since a rail can't ask
            the model again.
        read: Gives the interaction in the context.
    """
    rails.register_action(check_action(guard, read=read), NAME)


def check_action(guard: Guard, *, read: Read = read_context) -> Any:
    """The action itself, as for a configuration's `actions.py`."""

    @action(name=NAME)
    async def tipstaff_check(context: dict[str, Any] | None = None) -> RailOutcome:
        try:
            outcome = await guard.acheck(read(context or {}), _LAST_ATTEMPT)
        except BlockedError as error:
            # NeMo keeps the reason to itself, and the user sees only the rail's refusal.
            log_held_back(error.checked, "blocked")
            return RailOutcome.block(reason=str(error))
        if outcome.kind == "replace":
            return RailOutcome.transform([(TransformTarget.BOT_MESSAGE, outcome.text)])
        return RailOutcome.allow()

    return tipstaff_check
