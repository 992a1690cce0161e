"""Explains scores in the time that they leave: more runs of the same graph, after the score's own.

A score never waits for an explanation: neither its own nor, in a batch, any other item's. `rpc/`
explains a batch only once all of its scores are there. A search that doesn't fit into the time left
is given up.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from tipstaff.types import FIELDS, Highlight, Interaction, Reason, Score, Timing
from tipstaff_server.errors import RequestError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.explanation import ROUNDS, Search
from tipstaff_server.evaluator.layout import Checkpoint, Tokens
from tipstaff_server.metrics import Metrics
from tipstaff_server.repository.registry import Served
from tipstaff_server.scheduling import Dispatcher
from tipstaff_server.scoring.cache import ScoreCache
from tipstaff_server.scoring.pending import EncoderPool
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
        """A score with the words that lowered it, or with a note that these are unknown."""
        served, interaction = unexplained.served, unexplained.task.interaction
        crowded = self._dispatcher.depth > self._max_queue // 2
        if crowded or not served.evaluator.reads(interaction, "output"):
            return without_explanation(unexplained)
        completed = unexplained.completed
        search = served.evaluator.search(interaction, completed.encoded, completed.logits)
        highlights = await self._find(search, served, unexplained.deadline)
        if highlights is None:
            return without_explanation(unexplained)
        score = replace(_timed(unexplained), highlights=highlights)
        self._cache.put(self._cache.key(served, interaction, explained=True), score)
        return score

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
        # Without a name for the pending request: see `Scorer.score`.
        texts = (each.get(name) or "" for each in variants for name in FIELDS)
        text_bytes = sum(len(text.encode()) for text in texts)
        completed = await asyncio.wrap_future(
            self._encoders.start(
                served.evaluator, encode, now, now + share * (end - now), text_bytes=text_bytes
            )
        )
        self._metrics.explained(served.name, len(completed.results))
        return completed.logits


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
