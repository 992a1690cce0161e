"""The out-of-distribution score: how unlike the training data an interaction is.

It is the sum of two Mahalanobis distances from the training rows (Lee et al. 2018, "A simple
unified framework for detecting out-of-distribution samples"): that of the embedding, and that of
the fields' lengths. An embedding is an average over tokens, so it tells subjects and wording apart
but hardly notices a text's length. Rows of several kinds, as of joined data sets, have several
usual lengths, and the nearest counts. `tipstaff_trainer.evaluation.ood` fits the distances, and
scales them so that their sum is 1 at the threshold.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# An interaction with a higher score is out of distribution.
THRESHOLD = 1.0


@dataclass(frozen=True, slots=True)
class Distance:
    """A scaled Mahalanobis distance.

    Attributes:
        mean: Shape (d,).
        whitening: A scaled root of the inverse covariance, shape (d, d).
    """

    mean: Floats
    whitening: Floats

    def __post_init__(self) -> None:
        """Checks the shapes.

        Raises:
            ValueError: They don't match, or a number is not finite.
        """
        (size,) = self.mean.shape
        if self.whitening.shape != (size, size):
            raise ValueError(f"a mean of {size} numbers with a whitening {self.whitening.shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.whitening).all()):
            raise ValueError("not finite")

    def of(self, vector: npt.NDArray[np.floating]) -> float:
        """The distance of one vector of shape (d,)."""
        # Not `@`: BLAS would use its own threads, on cores that belong to the workers.
        white = np.einsum("ij,j->i", self.whitening, vector - self.mean)
        return float(np.sqrt(np.einsum("i,i->", white, white)))


@dataclass(frozen=True, slots=True)
class OodMeter:
    """Computes the out-of-distribution score for one graph of an evaluator.

    Attributes:
        embeddings: The distance of the graph's embedding.
        lengths: The distance of the logarithms of the fields' token counts, in the encoding's
            order, from all rows as one kind. Servers from before kinds know no other.
        kinds: The same from the rows of each kind; empty where all are of one.
    """

    embeddings: Distance
    lengths: Distance
    kinds: tuple[Distance, ...] = ()

    def __post_init__(self) -> None:
        """Checks that all distances of lengths are of as many fields.

        Raises:
            ValueError: They are not.
        """
        if any(kind.mean.shape != self.lengths.mean.shape for kind in self.kinds):
            raise ValueError("kinds of lengths of different numbers of fields")

    @classmethod
    def load(cls, data: bytes) -> OodMeter:
        """Reads the form that `to_bytes` writes.

        Raises:
            ValueError, KeyError, OSError: The data has another form.
        """
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            kinds = zip(
                arrays.get("kind_means", ()), arrays.get("kind_whitenings", ()), strict=True
            )
            return cls(
                Distance(arrays["embedding_mean"], arrays["embedding_whitening"]),
                Distance(arrays["length_mean"], arrays["length_whitening"]),
                tuple(Distance(mean, whitening) for mean, whitening in kinds),
            )

    def to_bytes(self) -> bytes:
        """The arrays as a NumPy archive, without pickle."""
        arrays = {
            "embedding_mean": self.embeddings.mean,
            "embedding_whitening": self.embeddings.whitening,
            "length_mean": self.lengths.mean,
            "length_whitening": self.lengths.whitening,
        }
        if self.kinds:
            arrays["kind_means"] = np.stack([kind.mean for kind in self.kinds])
            arrays["kind_whitenings"] = np.stack([kind.whitening for kind in self.kinds])
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    def score(self, embedding: npt.NDArray[np.float32], lengths: Sequence[int]) -> float:
        """The out-of-distribution score, at least 0; see `THRESHOLD`.

        Args:
            embedding: The graph's output, shape (hidden,).
            lengths: Tokens of each field that the evaluator reads, shape (fields,).
        """
        return self.embeddings.of(embedding) + self.length_distance(log_lengths(lengths))

    def length_distance(self, logarithms: npt.NDArray[np.floating]) -> float:
        """The lengths' part of the score; `logarithms` has the shape (fields,)."""
        return min(kind.of(logarithms) for kind in self.length_kinds)

    @property
    def length_kinds(self) -> tuple[Distance, ...]:
        """The distances of lengths, of which the nearest counts."""
        return self.kinds or (self.lengths,)


def log_lengths(lengths: Sequence[int]) -> npt.NDArray[np.float32]:
    """log(1 + n) for the n tokens of each field; shape (fields,)."""
    return np.log1p(np.array(lengths, dtype=np.float32))
