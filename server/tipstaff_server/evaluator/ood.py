"""How unlike its training data an interaction is: the out-of-distribution score.

Two distances are added: that of the embedding from the training rows' mean, by their covariance
(Mahalanobis; Lee et al. 2018, "A simple unified framework for detecting out-of-distribution
samples"), and that of the fields' lengths, likewise. An embedding is an average over tokens, so it
tells subjects and wording apart, and a text of another size hardly; lengths do that. Fitted in
`tipstaff_trainer.evaluation.ood`, which scales the two so that their sum is 1 at the threshold.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tipstaff.types import Coverage, Field

Floats = npt.NDArray[np.float32]
# From here on an interaction is called out of distribution.
THRESHOLD = 1.0


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance from a mean, in units of its own.

    Attributes:
        mean: Shape (d,).
        whitening: A root of the inverse covariance, scaled; shape (d, d).
    """

    mean: Floats
    whitening: Floats

    def __post_init__(self) -> None:
        """Checks the shapes.

        Raises:
            ValueError: They don't fit, or a number is not finite.
        """
        (size,) = self.mean.shape
        if self.whitening.shape != (size, size):
            raise ValueError(f"a mean of {size} numbers with a whitening {self.whitening.shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.whitening).all()):
            raise ValueError("not finite")

    def of(self, vector: npt.NDArray[np.floating]) -> float:
        """The distance of one vector of shape (d,)."""
        # Not `@`: BLAS would wake its threads for it, on cores that belong to the workers.
        white = np.einsum("ij,j->i", self.whitening, vector - self.mean)
        return float(np.sqrt(np.einsum("i,i->", white, white)))


@dataclass(frozen=True, slots=True)
class OodMeter:
    """Scores interactions of one evaluator's graph.

    Attributes:
        embeddings: Of the graph's embedding.
        lengths: Of the logarithms of the fields' token counts, in the encoding's order.
    """

    embeddings: Distance
    lengths: Distance

    @classmethod
    def load(cls, data: bytes) -> OodMeter:
        """Reads what `to_bytes` wrote.

        Raises:
            ValueError, KeyError, OSError: It is something else.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(
                Distance(arrays["embedding_mean"], arrays["embedding_whitening"]),
                Distance(arrays["length_mean"], arrays["length_whitening"]),
            )

    def to_bytes(self) -> bytes:
        """Its numbers as a NumPy archive, without pickle."""
        file = io.BytesIO()
        np.savez(
            file,
            embedding_mean=self.embeddings.mean,
            embedding_whitening=self.embeddings.whitening,
            length_mean=self.lengths.mean,
            length_whitening=self.lengths.whitening,
        )
        return file.getvalue()

    def score(
        self, embedding: npt.NDArray[np.float32], coverage: Mapping[Field, Coverage]
    ) -> float:
        """The out-of-distribution score, at least 0; above `THRESHOLD` for what is unlike.

        Args:
            embedding: As the graph gave it, shape (hidden,).
            coverage: Of the fields that the evaluator reads, in the encoding's order.
        """
        return self.embeddings.of(embedding) + self.lengths.of(log_lengths(coverage))


def log_lengths(coverage: Mapping[Field, Coverage]) -> npt.NDArray[np.float32]:
    """The logarithm of one more than each field's tokens, read or not; shape (fields,)."""
    return np.log1p(np.array([part.total for part in coverage.values()], dtype=np.float32))
