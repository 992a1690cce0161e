"""The dispatcher's events. It sends them one by one, from the thread in which each arose.

Each admitted run is in exactly one event: a `BatchRan` or a `RequestLeft`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tipstaff_server.scheduling.model import Model


@dataclass(frozen=True, slots=True)
class BatchRan:
    """A batch that ran and was answered.

    Attributes:
        model: The model that ran.
        queue_seconds: One for each entry: from submission to the start of the run.
        inference_seconds: Duration of the run.
        padding: Share of the run's tokens that were padding, in [0, 1).
    """

    model: Model[Any]
    queue_seconds: tuple[float, ...]
    inference_seconds: float
    padding: float

    @property
    def size(self) -> int:
        """Entries in the batch."""
        return len(self.queue_seconds)


@dataclass(frozen=True, slots=True)
class RequestLeft:
    """An admitted run that got no result.

    Attributes:
        model: The model it was for.
        reason: `expired` and `cancelled` were not run, `failed` raised, `stopped` was still queued
            or running when the dispatcher stopped.
    """

    model: Model[Any]
    reason: Literal["expired", "cancelled", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class WorkerRestarted:
    """A worker's own code raised; it starts again on its thread, with the same entries."""

    error: BaseException


Event: TypeAlias = BatchRan | RequestLeft | WorkerRestarted
Observe: TypeAlias = Callable[[Event], None]
