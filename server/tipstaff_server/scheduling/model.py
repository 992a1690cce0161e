"""The model's side of scheduling: anything that runs a list of items at once."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item", bound=Sized)
Item_contra = TypeVar("Item_contra", bound=Sized, contravariant=True)


class ModelOutputs(Protocol):
    """A model's outputs for a batch, in its order."""

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """Shape (batch,)."""

    @property
    def embeddings(self) -> npt.NDArray[np.float32]:
        """Shape (batch, hidden)."""


class Model(Protocol[Item_contra]):
    """Runs batches of items, whose `len()` is their tokens.

    Hashable by identity. Several threads may run it at once.
    """

    @property
    def batchable(self) -> bool:
        """Whether items may share a run; if not, each runs alone."""

    def run(self, batch: Sequence[Item_contra]) -> ModelOutputs:
        """Runs at least one item, padded to the longest."""
