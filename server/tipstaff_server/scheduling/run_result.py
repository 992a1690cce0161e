"""The result of one queued run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class RunResult:
    """A model's outputs for one item, and the times it took.

    Attributes:
        logit: Finite; above zero is good.
        embedding: Shape (hidden,).
        queue_seconds: From submission to the start of the run.
        inference_seconds: Duration of the run, batch-mates included.
        batch_size: Items in the run.
        padding: Share of the run's tokens that were padding, in [0, 1).
    """

    logit: float
    embedding: npt.NDArray[np.float32]
    queue_seconds: float
    inference_seconds: float
    batch_size: int
    padding: float
