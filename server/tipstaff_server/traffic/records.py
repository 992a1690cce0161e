"""The records of drawn answers and of feedback, made by the writer's thread.

A redaction may be slow, and texts are long: neither is worth an answer's time. What waits for the
writer is in memory only; nothing is written that was not redacted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tipstaff.types import FIELDS, Field, Interaction, Score
from tipstaff_server.traffic.counts import Cell, place_of
from tipstaff_server.traffic.segments import Record

log = logging.getLogger(__name__)

Redact = Callable[[str], str]

_MOST_ID = 256


class Drawn(NamedTuple):
    """An answer that was drawn to be kept.

    Attributes:
        row_id: The row's id.
        at: When it was answered.
        probability: That with which it was drawn.
        draw: The draw.
        cell: Where it is counted.
        score: The score.
        logit: Its logit; None if it is not known.
        interaction: The texts.
        attributes: What the application wants to see its traffic by.
    """

    row_id: str
    at: float
    probability: float
    draw: float
    cell: Cell
    score: Score
    logit: float | None
    interaction: Interaction
    attributes: Mapping[str, str]


class Feedback(NamedTuple):
    """What somebody found of an output.

    Attributes:
        request_id: The request.
        evaluator: The evaluator.
        row_id: The latest row of the request; empty if the server knows none.
        good: Whether the output is good.
        source: Who or what says so.
        note: A note.
        at: When it came.
    """

    request_id: str
    evaluator: str
    row_id: str
    good: bool
    source: str
    note: str
    at: float


@dataclass(slots=True)
class Recorder:
    """Makes records of what was drawn, redacted.

    Attributes:
        policy: The version of the rates and the salt.
        redact: Applied to each text before it is kept; if it raises, no text is kept.
        redaction_failed: Rows kept without their texts, as the redaction raised.
    """

    policy: str
    redact: Redact | None = None
    redaction_failed: int = 0

    def record(self, subject: Drawn | Feedback) -> Record:
        """The record of a drawn answer, or of feedback."""
        return self._row(subject) if isinstance(subject, Drawn) else self._feedback(subject)

    def _row(self, drawn: Drawn) -> Record:
        score, failed = drawn.score, False
        texts: dict[Field, str | None] = {}
        for name in FIELDS:
            text = drawn.interaction.get(name)
            if text is not None:
                text, redacted = self._redacted(text)
                failed = failed or not redacted
            texts[name] = text
        attributes = {}
        for key, value in drawn.attributes.items():
            attributes[key], redacted = self._redacted(value)
            failed = failed or not redacted
        if failed:
            self.redaction_failed += 1
            texts, attributes = dict.fromkeys(FIELDS, None), {}
        timing = score.timing
        return {
            "kind": "row",
            "row": drawn.row_id,
            "request": score.request_id[:_MOST_ID],
            "at": drawn.at,
            "pi": drawn.probability,
            "draw": drawn.draw,
            "policy": self.policy,
            **place_of(drawn.cell),
            **{str(name): text for name, text in texts.items()},
            "attributes": attributes,
            "redaction_failed": failed,
            "score": score.score,
            "logit": drawn.logit,
            "reasons": [reason.value for reason in score.reasons],
            "ood": score.ood_score,
            "coverage": {
                name: [part.scored, part.total, part.unknown, part.dropped, part.unread]
                for name, part in score.coverage.items()
            },
            "engine": score.engine,
            "cached": score.cached,
            "seconds": (
                [timing.encode, timing.queue, timing.inference, timing.total] if timing else None
            ),
        }

    def _feedback(self, feedback: Feedback) -> Record:
        note, redacted = self._redacted(feedback.note)
        return {
            "kind": "feedback",
            "request": feedback.request_id,
            "evaluator": feedback.evaluator,
            "row": feedback.row_id,
            "good": feedback.good,
            "source": feedback.source,
            "note": note if redacted else "",
            "at": feedback.at,
        }

    def _redacted(self, text: str) -> tuple[str, bool]:
        """A text as it may be kept, and whether it may be."""
        if self.redact is None or not text:
            return text, True
        try:
            redacted = self.redact(text)
        except BaseException:  # also a panic of a library in Rust
            log.debug("traffic: the redaction raised")
            return "", False
        return (redacted, True) if isinstance(redacted, str) else ("", False)
