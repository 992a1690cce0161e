"""What the dispatcher tells its observer, one event at a time, from whichever thread it arose in.

A request that was admitted is in exactly one event: a `BatchRan` or a `RequestLeft`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tipstaff_server.scheduling.model import Model


@dataclass(frozen=True, slots=True)
class BatchRan:
    """A run that answered its requests.

    Attributes:
        model: The model that ran.
        queue_seconds: One for each request: from submission to the start of the run.
        inference_seconds: Of the run.
        padding: Share of its tokens that were padding, in [0, 1).
    """

    model: Model[Any]
    queue_seconds: tuple[float, ...]
    inference_seconds: float
    padding: float

    @property
    def size(self) -> int:
        """Requests in the run."""
        return len(self.queue_seconds)


@dataclass(frozen=True, slots=True)
class RequestLeft:
    """An admitted request that got no answer.

    Attributes:
        model: The model it was for.
        reason: `expired` and `cancelled` were not run, `failed` raised, `stopped` was still queued
            or running when the dispatcher stopped.
    """

    model: Model[Any]
    reason: Literal["expired", "cancelled", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class LaneReplaced:
    """Our own code raised in a lane, which begins anew, on its thread, with its requests."""

    error: BaseException


Event: TypeAlias = BatchRan | RequestLeft | LaneReplaced
Observe: TypeAlias = Callable[[Event], None]
