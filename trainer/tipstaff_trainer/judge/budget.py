"""The budget of a run, in tokens or in money."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tipstaff_trainer.errors import BudgetError
from tipstaff_trainer.judge.prompt import Message, estimate_tokens
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.judge.settings import JudgeSettings

# Tokens of the prompt, and of the longest replies.
Reservation = tuple[int, int]


class Budget:
    """Counts tokens spent, and tokens reserved for the calls on their way.

    A call is admitted only if the budget covers its longest reply. So the budget holds, except for
    the error of `estimate_tokens`.

    Args:
        settings: The prices and the limits.
        prompt_tokens: Prompt tokens that this job has paid for so far; they count.
        reply_tokens: Reply tokens, likewise.
    """

    def __init__(self, settings: JudgeSettings, prompt_tokens: int, reply_tokens: int) -> None:
        self._settings = settings
        self._prompt_tokens = prompt_tokens
        self._reply_tokens = reply_tokens
        # Calls on their way, and the tokens reserved for them.
        self._calls = 0
        self._prompt_reserved = 0
        self._reply_reserved = 0
        self._settled = asyncio.Condition()

    @property
    def cost(self) -> float:
        """Money spent, in the prices' currency."""
        return self._settings.cost(self._prompt_tokens, self._reply_tokens)

    @property
    def tokens(self) -> int:
        """Tokens spent."""
        return self._prompt_tokens + self._reply_tokens

    @property
    def summary(self) -> str:
        """What is spent, in words."""
        paid = f", {self.cost:,.4f} paid" if self._settings.priced else ""
        return f"{self.tokens:,} tokens{paid}"

    async def reserve(self, messages: Sequence[Message], replies: int) -> Reservation:
        """Reserves a call's tokens; waits for calls on their way if that may free some.

        Returns:
            What `settle` takes.

        Raises:
            BudgetError: The budget doesn't cover the call.
        """
        async with self._settled:
            while True:
                try:
                    return self.take(messages, replies)
                except BudgetError:
                    if not self._calls:
                        raise
                await self._settled.wait()

    async def settle(self, call: Reservation, replies: Sequence[Reply]) -> None:
        """Replaces a call's reservation by the tokens it used."""
        self.charge(replies)
        async with self._settled:
            self._calls -= 1
            self._prompt_reserved -= call[0]
            self._reply_reserved -= call[1]
            self._settled.notify_all()

    def take(self, messages: Sequence[Message], replies: int) -> Reservation:
        """Reserves a call's tokens without waiting.

        Raises:
            BudgetError: The budget doesn't cover the call.
        """
        prompt, reply = estimate_tokens(messages), replies * self._settings.max_reply_tokens
        self._check(
            self._prompt_tokens + self._prompt_reserved + prompt,
            self._reply_tokens + self._reply_reserved + reply,
        )
        self._calls += 1
        self._prompt_reserved += prompt
        self._reply_reserved += reply
        return prompt, reply

    def charge(self, replies: Sequence[Reply]) -> None:
        """Counts the tokens of replies."""
        self._prompt_tokens += sum(reply.prompt_tokens for reply in replies)
        self._reply_tokens += sum(reply.reply_tokens for reply in replies)

    def release(self) -> None:
        """Drops all reservations, once no call is on its way."""
        self._calls = self._prompt_reserved = self._reply_reserved = 0

    def _check(self, prompt: int, reply: int) -> None:
        most_tokens, most_cost = self._settings.max_tokens_total, self._settings.max_cost
        too_many = most_tokens is not None and prompt + reply > most_tokens
        too_dear = most_cost is not None and self._settings.cost(prompt, reply) > most_cost
        if too_many or too_dear:
            if most_tokens is not None:
                spent = f"{self.tokens:,} of {most_tokens:,} tokens"
            else:
                spent = f"{self.cost:,.4f} of {most_cost:,.4f}"
            raise BudgetError(f"the budget is spent: {spent}, and the next call may exceed it")
