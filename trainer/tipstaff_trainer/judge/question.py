"""What is asked about one row, and what its replies come to: the same for every way of asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.ledger import question_key
from tipstaff_trainer.judge.prompt import Form, Message, Prompt
from tipstaff_trainer.judge.replies import LabelKind, Opinion, Reply, combine, read_reply
from tipstaff_trainer.judge.settings import JudgeSettings

FORMS: dict[LabelKind, Form] = {
    "logprobs": "verdict_first",
    "samples": "json",
    "verdict": "json",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One conversation, as often as it is to be replied to.

    Attributes:
        key: What the ledger knows it by.
        messages: The conversation.
        form: How the judge is to reply.
        logprobs: Whether the log-probabilities of the reply are wanted.
        temperature: Of the judge.
    """

    key: str
    messages: list[Message]
    form: Form
    logprobs: bool
    temperature: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows become questions, and replies labels.

    Attributes:
        prompt: How the criterion is put; its form is the kind's.
        kind: Of the labels that are wanted.
        settings: The judge's.
    """

    prompt: Prompt
    kind: LabelKind
    settings: JudgeSettings

    def question(self, row: Row) -> Question:
        """What is asked about a row."""
        messages = self.prompt.messages(row)
        temperature = self.settings.temperature
        if temperature is None:
            temperature = 1.0 if self.kind == "samples" else 0.0
        sampling: dict[str, Any] = {
            "kind": self.kind,
            "temperature": temperature,
            "max_reply_tokens": self.settings.max_reply_tokens,
        }
        if self.settings.extra_body:
            sampling["extra_body"] = self.settings.extra_body
        return Question(
            key=question_key(self.settings.model, messages, sampling),
            messages=messages,
            form=self.prompt.form,
            logprobs=self.kind == "logprobs",
            temperature=temperature,
        )

    @property
    def wanted(self) -> int:
        """How many replies that can be read a row is to have."""
        return self.settings.samples if self.kind == "samples" else 1

    def missing(self, replies: Sequence[Reply]) -> int:
        """How many more replies to ask for.

        One that can't be read is asked for again, until there are `attempts` of that kind.
        """
        unread = len(replies) - len(self._opinions(replies))
        if unread >= self.settings.attempts:
            return 0
        return max(0, self.wanted - (len(replies) - unread))

    def opinion(self, replies: Sequence[Reply]) -> Opinion | None:
        """What the replies say together; None when none can be read."""
        opinions = self._opinions(replies)[: self.wanted]
        return combine(opinions) if opinions else None

    def complaint(self, replies: Sequence[Reply]) -> str:
        """Why replies, of which none can be read, can't be."""
        if not replies:
            return "not asked yet"
        told = f"none of {len(replies)} replies could be read"
        if all(reply.finish_reason == "length" for reply in replies):
            return f"{told}: each was cut at {self.settings.max_reply_tokens} tokens"
        if all(reply.finish_reason == "content_filter" for reply in replies):
            return f"{told}: the endpoint's content filter held each back"
        if not any(reply.text.strip() for reply in replies):
            return f"{told}: each was empty"
        return told

    def _opinions(self, replies: Sequence[Reply]) -> list[Opinion]:
        read = (read_reply(reply, self.prompt.form) for reply in replies)
        return [opinion for opinion in read if opinion is not None]
