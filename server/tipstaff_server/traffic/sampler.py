"""Draws answers to keep, counts all, and takes feedback.

What an answer waits for is here: a draw, a few sums and, once in ten answers, a place in the queue.
`records` and `writer` do the rest, in a thread of their own.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tipstaff.types import Interaction, Score
from tipstaff_server.errors import FeedbackNotStored, InvalidRequest
from tipstaff_server.traffic.counts import Cell, Counts
from tipstaff_server.traffic.policy import SamplingPolicy, band_of
from tipstaff_server.traffic.records import Drawn, Feedback, Recorder, Redact
from tipstaff_server.traffic.segments import Record
from tipstaff_server.traffic.writer import Limits, SegmentWriter

log = logging.getLogger(__name__)

# Requests whose feedback can be told to be about one answer or several.
_REMEMBERED = 20_000
_MOST_SOURCE = 64
_MOST_NOTE = 2000
_MOST_ID = 256
_NO_ATTRIBUTES: Mapping[str, str] = {}


@dataclass(slots=True)
class Fates:
    """What became of answers and feedback since the start.

    Attributes:
        counted: Answers counted, drawn or not.
        drawn: Of these, those drawn to be kept.
        dropped: Of these, those that were lost: the queue was full, or the disk.
        skipped: Answers that are no traffic, as they were asked for by version.
        feedback: Pieces of feedback taken.
    """

    counted: int = 0
    drawn: int = 0
    dropped: int = 0
    skipped: int = 0
    feedback: int = 0


class TrafficSampler:
    """Draws, counts and queues; never raises for an answer. Belongs to one event loop.

    Args:
        folder: The folder of segments.
        policy: The rates.
        limits: How much is kept.
        redact: Applied to each text before it is kept; if it raises, no text is kept.
        logit_of: The logit of a score of an evaluator in service, or None.
    """

    def __init__(
        self,
        folder: Path,
        policy: SamplingPolicy,
        limits: Limits,
        *,
        redact: Redact | None = None,
        logit_of: Callable[[Score], float | None] = lambda _: None,
    ) -> None:
        self.fates = Fates()
        self.policy = policy
        self._recorder = Recorder(policy.version, redact)
        self._logit_of = logit_of
        self._counts = Counts()
        # A row's id is this and a number: unique, and unpredictable once it is hashed with the
        # salt.
        self._process = secrets.token_hex(8)
        self._number = 0
        # By evaluator and request id: the latest row's id, and how many rows there were.
        self._recent: dict[tuple[str, str], tuple[str, int]] = {}
        self._writer = SegmentWriter(
            folder,
            limits,
            {"policy": policy.version},
            record=self._recorder.record,
            collect_counts=self._counts.take,
            on_lost=self._on_lost,
        )

    @property
    def keeping(self) -> bool:
        """Whether rows can be written."""
        return self._writer.keeping

    @property
    def deleted(self) -> int:
        """Segments deleted by age or size."""
        return self._writer.deleted

    @property
    def overflow(self) -> int:
        """Answers whose caller was counted among the others."""
        return self._counts.overflow

    @property
    def redaction_failed(self) -> int:
        """Rows kept without their texts, as the redaction raised."""
        return self._recorder.redaction_failed

    def answered(
        self,
        score: Score,
        interaction: Interaction,
        *,
        pinned: bool = False,
        caller: str = "",
        attributes: Mapping[str, str] = _NO_ATTRIBUTES,
    ) -> None:
        """Counts an answer, and queues it if it is drawn.

        Args:
            score: The score.
            interaction: The texts.
            pinned: Whether the request named a version.
            caller: Who asked; may be empty.
            attributes: What the application wants to see its traffic by.
        """
        value = score.score
        if pinned or value is None:
            self.fates.skipped += 1
            return
        try:
            self._answered(score, value, interaction, caller, attributes)
        except Exception:
            # The answer itself is right, and goes out.
            log.exception("traffic: an answer could not be counted")

    def _answered(
        self,
        score: Score,
        value: float,
        interaction: Interaction,
        caller: str,
        attributes: Mapping[str, str],
    ) -> None:
        at, evaluator = time.time(), score.evaluator
        verdict, band = str(score.verdict), band_of(value)
        self._number += 1
        row_id = f"{self._process}{self._number:016x}"
        self._remember((evaluator, score.request_id), row_id)
        rate, draw = self.policy.rate(evaluator, verdict, band), self.policy.draw(row_id)
        drawn = draw < rate
        counts, timing = self._counts, score.timing
        cell = counts.cell(at, evaluator, score.version, caller, verdict, band, score.reasons)
        counts.add(cell, 1 - value, timing.total if timing else 0.0, drawn=drawn)
        self.fates.counted += 1
        if not drawn:
            return
        self.fates.drawn += 1
        row = Drawn(
            row_id, at, rate, draw, cell, score, self._logit_of(score), interaction, attributes
        )
        if not self._writer.put(row):
            self._drop(cell)

    def feedback(self, request_id: str, evaluator: str, good: bool, source: str, note: str) -> int:
        """Queues feedback; returns how many recent answers have that id.

        Raises:
            InvalidRequest: A text is missing or too long.
            FeedbackNotStored: The queue is full, or the disk.
        """
        if not request_id:
            raise InvalidRequest("request_id", "empty: give that of the score")
        for name, text, most in (
            ("request_id", request_id, _MOST_ID),
            ("source", source, _MOST_SOURCE),
            ("note", note, _MOST_NOTE),
        ):
            if len(text) > most:
                raise InvalidRequest(name, f"{len(text)} characters, and at most {most} are taken")
        row_id, matches = self._recent.get((evaluator, request_id), ("", 0))
        said = Feedback(request_id, evaluator, row_id, good, source, note, time.time())
        if not self._writer.put(said):
            raise FeedbackNotStored("feedback can't be stored now: try again later")
        self.fates.feedback += 1
        return matches

    def close(self) -> None:
        """Writes what waits, and seals it."""
        self._writer.close()

    def _remember(self, key: tuple[str, str], row_id: str) -> None:
        before = self._recent.pop(key, None)
        self._recent[key] = (row_id, 1 if before is None else before[1] + 1)
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def _on_lost(self, lost: Drawn | Record) -> None:
        """Accounts for a row or counts that could not be written."""
        if isinstance(lost, Drawn):
            self._drop(lost.cell)
        else:
            self._counts.put_back(lost)

    def _drop(self, cell: Cell) -> None:
        self.fates.dropped += 1
        self._counts.drop(cell)
