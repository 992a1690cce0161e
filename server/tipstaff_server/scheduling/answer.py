"""What a submitted request gets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's outputs for one request, and what they took.

    Attributes:
        logit: Finite; above zero is good.
        embedding: Shape (hidden,).
        queue_seconds: From submission to the start of the run that answered it.
        inference_seconds: Of that run, batch-mates included.
        batch_size: Requests in that run.
        padding: Share of that run's tokens that were padding, in [0, 1).
    """

    logit: float
    embedding: npt.NDArray[np.float32]
    queue_seconds: float
    inference_seconds: float
    batch_size: int
    padding: float
