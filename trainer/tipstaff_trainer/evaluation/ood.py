"""Fits what tells interactions that are unlike the training data; see `evaluator.ood`.

Covariances are shrunk towards a sphere by as much as the rows are few (Ledoit & Wolf 2004, "A
well-conditioned estimator for large-dimensional covariance matrices"). The threshold is where a
share of new rows like the training data is expected to lie above: a quantile of rows that the
weights weren't fitted to, with the one row more that makes it hold for small numbers (conformal;
Bates et al. 2023, "Testing for outliers with conformal p-values").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.covariance import LedoitWolf

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.ood import Distance, OodMeter, log_lengths

Floats = npt.NDArray[np.float64]
# Of rows like the training data, this share is called unlike, where there are 99 to tell it by.
SHARE = 0.01
_FEWEST_ROWS = 20
# At how many of the training rows' distances the two kinds are put on a par.
_PAR = 0.99
# A length that is the same in all rows may differ by a few per cent before it is a surprise.
_LENGTH_NOISE = 0.05


@dataclass(frozen=True, slots=True)
class Representations:
    """What tells interactions apart: the graph's embeddings and the fields' lengths.

    Attributes:
        embeddings: Shape (n, hidden).
        lengths: Logarithms, shape (n, fields).
    """

    embeddings: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.float32]

    @classmethod
    def of(cls, embeddings: npt.NDArray[np.float32], encoded: Sequence[Encoded]) -> Representations:
        """Of interactions whose embeddings are known, shape (n, hidden)."""
        return cls(embeddings, np.stack([log_lengths(item.coverage) for item in encoded]))


def fit_ood(training: Representations, validation: Representations) -> OodMeter | None:
    """Fits the meter on training rows and puts its threshold by validation rows.

    Returns:
        None where there are too few rows of either to tell what is usual.
    """
    if min(len(training.lengths), len(validation.lengths)) < _FEWEST_ROWS:
        return None
    embeddings = _fit(training.embeddings.astype(float), noise=0.0)
    lengths = _fit(training.lengths.astype(float), noise=_LENGTH_NOISE)
    known = ood_scores(OodMeter(embeddings, lengths), validation)
    # Among n + 1 rows of a kind, the new one is as likely as any other to be the farthest. Under 99
    # rows the farthest is the threshold, so that more than SHARE lies above it: 1 / (n + 1).
    rank = min(len(known), math.ceil((1 - SHARE) * (len(known) + 1)))
    threshold = float(np.sort(known)[rank - 1])
    return OodMeter(_scaled(embeddings, 1 / threshold), _scaled(lengths, 1 / threshold))


def ood_scores(meter: OodMeter, rows: Representations) -> Floats:
    """As `OodMeter.score`, of many rows; shape (n,)."""
    return _distances(meter.embeddings, rows.embeddings) + _distances(meter.lengths, rows.lengths)


def _fit(rows: Floats, *, noise: float) -> Distance:
    found = LedoitWolf().fit(rows)
    covariance = found.covariance_ + noise**2 * np.eye(rows.shape[1])
    # A dead dimension has no variance of its own, and must not divide by it.
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, values.max() * 1e-6 + 1e-12)
    distance = Distance(
        found.location_.astype(np.float32),
        (vectors / np.sqrt(values)).T.astype(np.float32),
    )
    return _scaled(distance, 1 / max(1e-12, float(np.quantile(_distances(distance, rows), _PAR))))


def _distances(distance: Distance, rows: npt.NDArray[np.floating]) -> Floats:
    """As `Distance.of`, of many rows; shape (n,)."""
    white = (rows - distance.mean).astype(float) @ distance.whitening.T.astype(float)
    squares: Floats = np.einsum("ij,ij->i", white, white)
    return np.sqrt(squares)


def _scaled(distance: Distance, factor: float) -> Distance:
    return Distance(distance.mean, (distance.whitening * factor).astype(np.float32))
