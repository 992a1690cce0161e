"""What a job may spend, in tokens or in money."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tipstaff_trainer.errors import BudgetError
from tipstaff_trainer.judge.ledger import Spent
from tipstaff_trainer.judge.prompt import Message, estimate_tokens
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import JudgeSettings

# Tokens of the prompt and of the longest replies.
Reserved = tuple[int, int]


class Budget:
    """Counts what is spent, and what the calls on their way may come to.

    A call is let through only if it could be paid for even with the longest reply, so that the
    budget is not exceeded, but for what `estimate_tokens` is off.

    Args:
        settings: With the prices and the limits.
        spent: What the ledger has paid to this model so far; it counts.
    """

    def __init__(self, settings: JudgeSettings, spent: Spent) -> None:
        self._settings = settings
        self._prompt_tokens = spent.prompt_tokens
        self._reply_tokens = spent.reply_tokens
        # Calls on their way, and the tokens they may come to.
        self._calls = 0
        self._prompt_tokens_due = 0
        self._reply_tokens_due = 0
        self._settled = asyncio.Condition()

    @property
    def cost(self) -> float:
        """Money spent, in the prices' currency."""
        return self._settings.cost(self._prompt_tokens, self._reply_tokens)

    @property
    def tokens(self) -> int:
        """Tokens spent."""
        return self._prompt_tokens + self._reply_tokens

    async def reserve(self, messages: Sequence[Message], replies: int) -> Reserved:
        """Sets aside what a call may cost; waits for calls on their way if that may help.

        Returns:
            What to give to `settle`.

        Raises:
            BudgetError: It can't be paid for.
        """
        async with self._settled:
            while True:
                try:
                    return self.take(messages, replies)
                except BudgetError:
                    if not self._calls:
                        raise
                await self._settled.wait()

    async def settle(self, call: Reserved, replies: Sequence[Reply]) -> None:
        """Puts what a call did cost in place of what was set aside for it."""
        self.paid(replies)
        async with self._settled:
            self._calls -= 1
            self._prompt_tokens_due -= call[0]
            self._reply_tokens_due -= call[1]
            self._settled.notify_all()

    def take(self, messages: Sequence[Message], replies: int) -> Reserved:
        """Sets aside what a call may cost, without waiting.

        Raises:
            BudgetError: It can't be paid for.
        """
        prompt, reply = estimate_tokens(messages), replies * self._settings.max_reply_tokens
        if not self._affords(prompt, reply):
            raise BudgetError(self._spent_message())
        self._calls += 1
        self._prompt_tokens_due += prompt
        self._reply_tokens_due += reply
        return prompt, reply

    def paid(self, replies: Sequence[Reply]) -> None:
        """Counts what replies did cost."""
        self._prompt_tokens += sum(reply.prompt_tokens for reply in replies)
        self._reply_tokens += sum(reply.reply_tokens for reply in replies)

    def release(self) -> None:
        """Forgets what is set aside, when nothing is on its way any more."""
        self._calls = self._prompt_tokens_due = self._reply_tokens_due = 0

    def _affords(self, prompt: int, reply: int) -> bool:
        prompt += self._prompt_tokens + self._prompt_tokens_due
        reply += self._reply_tokens + self._reply_tokens_due
        limits = self._settings
        if limits.max_cost is not None and limits.cost(prompt, reply) > limits.max_cost:
            return False
        return limits.max_tokens_total is None or prompt + reply <= limits.max_tokens_total

    def _spent_message(self) -> str:
        limits = self._settings
        if limits.max_tokens_total is not None:
            of = f"{self.tokens:,} of {limits.max_tokens_total:,} tokens"
        else:
            of = f"{self.cost:,.4f} of {limits.max_cost:,.4f}"
        return f"the budget is spent: {of}, and another call may cost more than is left"
