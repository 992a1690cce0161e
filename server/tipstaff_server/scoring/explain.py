"""Explains scores in the time that they leave: more runs of the same graph, after the score's own.

A score never waits for an explanation: not for its own nor, in a batch, for any other of the batch.
What doesn't fit into the time left is not explained.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from tipstaff.types import Highlight, Interaction
from tipstaff_server.errors import RequestError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.encoding import Tokens
from tipstaff_server.evaluator.explanation import ROUNDS, Search
from tipstaff_server.scoring.pending import Job

# Of the time that a score leaves. The rest is for what takes longer than predicted, since the score
# must be out in time whatever becomes of this.
_SHARE = 0.8
# Runs queued at a time: they are promised, and a score that would make them late is refused.
_PORTION = 8


@dataclass(frozen=True, slots=True)
class Variants:
    """Some runs that a search asks for."""

    runs: tuple[Tokens, ...]


# Starts the runs of an evaluator that a function encodes, given the arrival and the seconds for it.
Start: TypeAlias = Callable[
    [Evaluator, Callable[[], tuple[Variants, float]], float, float], Job[Variants]
]


class Countdown:
    """Tells when all scores of a batch are there. Belongs to one event loop."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._all = asyncio.Event()

    def one(self) -> None:
        """Counts one that is there, or will not be."""
        self._left -= 1
        if self._left <= 0:
            self._all.set()

    async def wait(self) -> None:
        """Waits for all."""
        await self._all.wait()


async def explain(
    evaluator: Evaluator,
    searching: Search,
    start: Start,
    deadline: float,
    *,
    others: Countdown,
    ran: Callable[[int], None],
) -> tuple[Highlight, ...] | None:
    """Searches for the words that lowered a score.

    Args:
        evaluator: What gave the score.
        searching: Asks for the runs.
        start: Starts them.
        deadline: When the score must be there.
        others: Scores that go first.
        ran: Is told how many runs were made, as they are.

    Returns:
        What was found; None where the time or the load doesn't allow the search.
    """
    now = time.monotonic()
    end = now + _SHARE * (deadline - now)
    try:
        async with asyncio.timeout(end - now):
            await others.wait()
            asked = next(searching)
            rounds = ROUNDS
            while True:
                logits: list[float] = []
                while rest := asked[len(logits) :]:
                    now = time.monotonic()
                    # What would leave no time for all that is to come isn't begun.
                    share = 1 / (_portions(rest) + (rounds - 1) * _portions(asked))
                    encode = partial(_encode, evaluator, rest[:_PORTION])
                    answered = await asyncio.wrap_future(
                        start(evaluator, encode, now, share * (end - now))
                    )
                    logits += [answer.logit for answer in answered.answers]
                    ran(len(answered.answers))
                rounds -= 1
                asked = searching.send(logits)
    except StopIteration as stop:
        found: tuple[Highlight, ...] = stop.value
        return found
    except (RequestError, TimeoutError):
        return None


def _portions(asked: Sequence[Interaction]) -> int:
    return math.ceil(len(asked) / _PORTION)


def _encode(evaluator: Evaluator, asked: Sequence[Interaction]) -> tuple[Variants, float]:
    started = time.thread_time()
    runs = tuple(evaluator.variant(each) for each in asked)
    return Variants(runs), time.thread_time() - started
