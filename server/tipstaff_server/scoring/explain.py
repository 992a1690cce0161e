"""Explains scores in the time that they leave: more runs of the same graph, after the score's own.

A score never waits for an explanation: neither its own nor, in a batch, any other item's. `rpc/`
explains a batch only once all of its scores are there. A search that doesn't fit into the time left
is given up. The evidence for the sentences comes first: it takes a run for each, and marking words
takes tens.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

from tipstaff.types import (
    FIELDS,
    Highlight,
    Interaction,
    Reason,
    Score,
    SentenceEvidence,
    Timing,
)
from tipstaff_server.access.current import charge
from tipstaff_server.errors import RequestError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.explanation import ROUNDS, Search
from tipstaff_server.evaluator.layout import Checkpoint, Tokens
from tipstaff_server.evaluator.support import Support
from tipstaff_server.metrics import Metrics
from tipstaff_server.repository.registry import Served
from tipstaff_server.scheduling import Dispatcher
from tipstaff_server.scoring.cache import ScoreCache
from tipstaff_server.scoring.pending import CompletedRequest, EncoderPool
from tipstaff_server.scoring.scorer import Unexplained

# Share of the time left after a score that its explanation may take. The rest is a reserve for runs
# that take longer than predicted: the score must be out in time in any case.
_SHARE = 0.8
# Runs queued at a time. Queued runs are promised, and a score that would make them late is refused.
_PORTION = 8


@dataclass(frozen=True, slots=True)
class Variants:
    """Encoded variants of an interaction, one run each."""

    runs: tuple[Tokens, ...]


@dataclass(frozen=True, slots=True)
class FirstSentences(Variants):
    """The first encoded sentences of an output, with what supports all of them."""

    support: Support


VariantsT = TypeVar("VariantsT", bound=Variants)


class Explainer:
    """Explains scores. Belongs to the event loop that calls it.

    Args:
        dispatcher: Runs the variants.
        encoders: Encodes them and queues their runs.
        cache: Remembers explained scores.
        metrics: Counts the runs.
        max_queue: Most requests that may wait; an explanation leaves half of that to scores.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        encoders: EncoderPool,
        cache: ScoreCache,
        metrics: Metrics,
        *,
        max_queue: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._encoders = encoders
        self._cache = cache
        self._metrics = metrics
        self._max_queue = max_queue

    async def explain(self, unexplained: Unexplained) -> Score:
        """A score with evidence and the words that lowered it, or a note that some is missing."""
        served, interaction = unexplained.served, unexplained.task.interaction
        crowded = self._dispatcher.depth > self._max_queue // 2
        # A blank output has no sentence.
        blank = not (interaction.output or "").strip()
        if crowded or blank or not served.evaluator.reads(interaction, "output"):
            return without_explanation(unexplained)
        evidence = await self._find_evidence(unexplained)
        if not evidence:
            return without_explanation(unexplained)
        completed = unexplained.completed
        search = served.evaluator.search(interaction, completed.encoded, completed.logits)
        highlights = await self._find(search, served, unexplained.deadline)
        if highlights is None:
            return replace(without_explanation(unexplained), evidence=evidence)
        score = replace(_timed(unexplained), highlights=highlights, evidence=evidence)
        self._cache.put(self._cache.key(served, interaction, explained=True), score)
        return score

    async def _find_evidence(self, unexplained: Unexplained) -> tuple[SentenceEvidence, ...]:
        """The evidence for each sentence; empty if the time or the load doesn't allow it."""
        served, interaction = unexplained.served, unexplained.task.interaction
        now = time.monotonic()
        end = now + _SHARE * (unexplained.deadline - now)
        try:
            async with asyncio.timeout(end - now):
                encode = partial(_encode_first, served.evaluator, interaction)
                first = await self._complete(served, [interaction], encode, end)
                support, logits = first.encoded.support, first.logits
                while rest := support.variants[len(logits) :]:
                    share = 1 / _portions(rest)
                    logits += await self._run(served, rest[:_PORTION], end, share)
        except (RequestError, TimeoutError):
            return ()
        return served.evaluator.evidence(support, logits)

    async def _find(
        self, search: Search, served: Served, deadline: float
    ) -> tuple[Highlight, ...] | None:
        """The highlights that a search finds; None if the time or the load doesn't allow it."""
        now = time.monotonic()
        end = now + _SHARE * (deadline - now)
        try:
            async with asyncio.timeout(end - now):
                variants = next(search)
                rounds = ROUNDS
                while True:
                    logits: list[float] = []
                    while rest := variants[len(logits) :]:
                        # Don't start a portion that would leave no time for all those to come.
                        portions = _portions(rest) + (rounds - 1) * _portions(variants)
                        logits += await self._run(served, rest[:_PORTION], end, 1 / portions)
                    rounds -= 1
                    variants = search.send(logits)
        except StopIteration as stop:
            highlights: tuple[Highlight, ...] = stop.value
            return highlights
        except (RequestError, TimeoutError):
            return None

    async def _run(
        self, served: Served, variants: Sequence[Interaction], end: float, share: float
    ) -> list[float]:
        """The variants' logits, if they take at most a share of the time until `end`."""
        now = time.monotonic()
        encode = partial(_encode, served.evaluator, variants)
        completed = await self._complete(served, variants, encode, now + share * (end - now))
        return completed.logits

    async def _complete(
        self,
        served: Served,
        texts: Sequence[Interaction],
        encode: Callable[[Checkpoint], VariantsT],
        end: float,
    ) -> CompletedRequest[VariantsT]:
        """Encodes and runs variants of some texts; raises if there is no time for it."""
        # Without a name for the pending request: see `Scorer.score`.
        fields = (each.get(name) or "" for each in texts for name in FIELDS)
        completed = await asyncio.wrap_future(
            self._encoders.start(
                served.evaluator,
                encode,
                time.monotonic(),
                end,
                text_bytes=sum(len(text.encode()) for text in fields),
            )
        )
        charge(completed.worker_seconds)
        self._metrics.explained(served.name, len(completed.results))
        return completed


def without_explanation(unexplained: Unexplained) -> Score:
    """The score, with a note that it is not explained."""
    score = _timed(unexplained)
    return replace(score, reasons=(*score.reasons, Reason.NOT_EXPLAINED))


def _timed(unexplained: Unexplained) -> Score:
    """The score, with the total time until now."""
    total = time.monotonic() - unexplained.arrival
    timing = replace(cast(Timing, unexplained.score.timing), total=total)
    return replace(unexplained.score, timing=timing)


def _portions(variants: Sequence[Interaction]) -> int:
    return math.ceil(len(variants) / _PORTION)


def _encode(
    evaluator: Evaluator, variants: Sequence[Interaction], checkpoint: Checkpoint
) -> Variants:
    return Variants(tuple(evaluator.encode_variant(variant, checkpoint) for variant in variants))


def _encode_first(
    evaluator: Evaluator, interaction: Interaction, checkpoint: Checkpoint
) -> FirstSentences:
    support = evaluator.support(interaction, checkpoint)
    first = _encode(evaluator, support.variants[:_PORTION], checkpoint)
    return FirstSentences(first.runs, support)
