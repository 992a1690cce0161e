"""Questions from rows and opinions from replies, whether asked by calls or by batch files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.answers import has_only_thoughts
from tipstaff_trainer.judge.prompt import Form, Message, Prompt
from tipstaff_trainer.judge.replies import LabelKind, Opinion, Reply, combine, read_reply
from tipstaff_trainer.judge.settings import JudgeSettings


@dataclass(frozen=True, slots=True)
class Question:
    """One conversation that ends with a question about a row.

    Attributes:
        key: Identifies it in the ledger.
        messages: The conversation.
        form: The form of the reply.
        temperature: The sampling temperature.
    """

    key: str
    messages: list[Message]
    form: Form
    temperature: float


def form_of(kind: LabelKind) -> Form:
    """The form of reply that a kind of label needs."""
    return "verdict_first" if kind == "logprobs" else "json"


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows become questions, and replies labels.

    Attributes:
        prompt: The prompt of the criterion, in the form that the kind of label needs.
        kind: The kind of label to ask for.
        settings: The judge's settings.
    """

    prompt: Prompt
    kind: LabelKind
    settings: JudgeSettings

    def question(self, row: Row) -> Question:
        """The question about a row."""
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
            key=_key(self.settings.model, messages, sampling),
            messages=messages,
            form=self.prompt.form,
            temperature=temperature,
        )

    @property
    def replies_per_row(self) -> int:
        """How many readable replies a row needs."""
        return self.settings.samples if self.kind == "samples" else 1

    def missing(self, question: Question, replies: Sequence[Reply]) -> int:
        """How many more replies to a question to ask for.

        An unreadable reply is asked for again, until `attempts` of them have come.
        """
        unreadable = len(replies) - len(self._opinions(question, replies))
        if unreadable >= self.settings.attempts:
            return 0
        return max(0, self.replies_per_row - (len(replies) - unreadable))

    def opinion(self, question: Question, replies: Sequence[Reply]) -> Opinion | None:
        """The opinion of a question's replies together; None if none can be read."""
        opinions = self._opinions(question, replies)[: self.replies_per_row]
        return combine(opinions) if opinions else None

    def complaint(self, replies: Sequence[Reply]) -> str:
        """Why none of the replies can be read."""
        if not replies:
            return "not asked yet"
        complaint = f"none of {len(replies)} replies could be read"
        reasons = {reply.finish_reason for reply in replies}
        if reasons == {"length"}:
            return f"{complaint}: each was cut at {self.settings.max_reply_tokens} tokens"
        if reasons == {"content_filter"}:
            return f"{complaint}: the endpoint's content filter held each back"
        if not any(reply.text.strip() for reply in replies):
            return f"{complaint}: each was empty; a reasoning model may have only thought"
        if all(has_only_thoughts(reply.text) for reply in replies):
            return f"{complaint}: each has only thoughts, and no answer after them"
        return complaint

    def unread(self, question: Question, replies: Sequence[Reply]) -> str:
        """The last reply that can't be read, as it came; empty if there is none."""
        texts = [
            reply.text
            for reply in replies
            if read_reply(reply, self.prompt.form, _asked(question)) is None and reply.text.strip()
        ]
        return texts[-1] if texts else ""

    def _opinions(self, question: Question, replies: Sequence[Reply]) -> list[Opinion]:
        asked = _asked(question)
        opinions = (read_reply(reply, self.prompt.form, asked) for reply in replies)
        return [opinion for opinion in opinions if opinion is not None]


def _asked(question: Question) -> str:
    """All that a judge was shown about the row: it may quote it."""
    return question.messages[-1]["content"]


def _key(model: str, messages: Sequence[Message], sampling: Mapping[str, object]) -> str:
    """SHA-256, in hex, of all that a reply depends on: model, conversation, sampling."""
    content = json.dumps([model, messages, sampling], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
