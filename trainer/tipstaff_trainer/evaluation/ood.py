"""Fits the detector of interactions that look unlike the training data; see `evaluator.ood`.

Covariances are shrunk towards a sphere, the more the fewer rows there are (Ledoit & Wolf 2004, "A
well-conditioned estimator for large-dimensional covariance matrices"). The threshold is one of the
scores of rows that the weights weren't fitted to. It is high enough that, with a stated confidence,
at most a fixed share of new rows like the training data lies above it (Wilks 1941, "Determination
of sample sizes for setting tolerance limits").

A mixture of normal distributions models the lengths; the Bayesian information criterion chooses how
many (Schwarz 1978, "Estimating the dimension of a model").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.ood import Distance, OodMeter, log_lengths
from tipstaff_trainer.evaluation.base import Floats

# At most this share of rows like the training data is flagged, given at least 299 validation rows.
SHARE = 0.01
_CONFIDENCE = 0.95
_FEWEST_ROWS = 20
# Both distances are scaled to 1 at this quantile of the training rows, and then the embedding's by
# this share: of other data sets it tells less than lengths.
_SCALE_QUANTILE = 0.99
_EMBEDDING_SHARE = 0.25
# At most so many kinds of lengths, each with this share of the rows; starts of a mixture's fit.
_MOST_KINDS, _LEAST_KIND, _STARTS = 6, 0.05, 3
# Where all rows have the same length, a few per cent more or less must not count as unlike.
_LENGTH_NOISE = 0.05


@dataclass(frozen=True, slots=True)
class Representations:
    """The features of interactions: the graph's embeddings and the fields' lengths.

    Attributes:
        embeddings: Shape (n, hidden).
        lengths: Logarithms, shape (n, fields).
    """

    embeddings: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.float32]

    @classmethod
    def of(cls, embeddings: npt.NDArray[np.float32], encoded: Sequence[Encoded]) -> Representations:
        """Adds the lengths to interactions' embeddings, shape (n, hidden)."""
        return cls(embeddings, np.stack([log_lengths(item.lengths) for item in encoded]))


def fit_ood(training: Representations, validation: Representations) -> OodMeter | None:
    """Fits the meter on training rows and sets its threshold on validation rows.

    Returns:
        None where there are too few rows of either.
    """
    if min(len(training.lengths), len(validation.lengths)) < _FEWEST_ROWS:
        return None
    lengths = training.lengths.astype(float)
    meter = OodMeter(
        _scaled(_fit(training.embeddings.astype(float), noise=0.0), _EMBEDDING_SHARE),
        _fit(lengths, noise=_LENGTH_NOISE),
        _fit_kinds(lengths),
    )
    scores = ood_scores(meter, validation)
    factor = 1 / float(np.sort(scores)[_rank(len(scores)) - 1])
    return OodMeter(
        _scaled(meter.embeddings, factor),
        _scaled(meter.lengths, factor),
        tuple(_scaled(kind, factor) for kind in meter.kinds),
    )


def _rank(count: int) -> int:
    """The rank of the lowest of `count` scores that may be the threshold, from 1.

    The share of new scores below the score of rank k has the distribution Beta(k, count + 1 - k).
    With too few scores for `_CONFIDENCE`, it is the rank of the highest.
    """
    ranks = np.arange(1, count + 1)
    confidences = beta.sf(1 - SHARE, ranks, count + 1 - ranks)
    return min(count, int(np.searchsorted(confidences, _CONFIDENCE)) + 1)


def ood_scores(meter: OodMeter, rows: Representations) -> Floats:
    """`OodMeter.score` for many rows; shape (n,)."""
    nearest = _nearest(meter.length_kinds, rows.lengths)
    return _distances(meter.embeddings, rows.embeddings) + nearest


def _fit(rows: Floats, *, noise: float) -> Distance:
    fit = LedoitWolf().fit(rows)
    distance = _whitened(fit.location_, fit.covariance_ + noise**2 * np.eye(rows.shape[1]))
    return _scaled(distance, _unit_scale(_distances(distance, rows)))


def _fit_kinds(lengths: Floats) -> tuple[Distance, ...]:
    """The distances of the lengths from each of their kinds; none if they are of one kind.

    Args:
        lengths: Logarithms of training rows, shape (n, fields).
    """
    # Spread over the steps between whole numbers of tokens: to a density, each number of a few
    # tokens would be a kind of its own.
    steps = np.random.default_rng(0).uniform(-0.5, 0.5, lengths.shape)
    spread = np.log1p(np.maximum(0.0, np.expm1(lengths) + steps))
    mixtures = [
        GaussianMixture(count, reg_covar=_LENGTH_NOISE**2, n_init=_STARTS, random_state=0)
        for count in range(1, min(_MOST_KINDS, len(lengths) // _FEWEST_ROWS) + 1)
    ]
    fitted = [mixture.fit(spread) for mixture in mixtures]
    # Fewer rows are stragglers, not a kind.
    whole = [each for each in fitted if each.weights_.min() >= _LEAST_KIND]
    best = min(whole, key=lambda mixture: mixture.bic(spread))
    if best.n_components == 1:
        return ()
    kinds = [_whitened(*each) for each in zip(best.means_, best.covariances_, strict=True)]
    factor = _unit_scale(_nearest(kinds, lengths))
    return tuple(_scaled(kind, factor) for kind in kinds)


def _nearest(kinds: Sequence[Distance], lengths: npt.NDArray[np.floating]) -> Floats:
    distances: Floats = np.min([_distances(kind, lengths) for kind in kinds], axis=0)
    return distances


def _whitened(mean: Floats, covariance: Floats) -> Distance:
    # A dead dimension has no variance: avoid dividing by zero.
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, values.max() * 1e-6 + 1e-12)
    return Distance(mean.astype(np.float32), (vectors / np.sqrt(values)).T.astype(np.float32))


def _unit_scale(distances: Floats) -> float:
    """The factor that makes the distances of most training rows at most 1."""
    return 1 / max(1e-12, float(np.quantile(distances, _SCALE_QUANTILE)))


def _distances(distance: Distance, rows: npt.NDArray[np.floating]) -> Floats:
    """`Distance.of` for many rows; shape (n,)."""
    white = (rows - distance.mean).astype(float) @ distance.whitening.T.astype(float)
    squares: Floats = np.einsum("ij,ij->i", white, white)
    return np.sqrt(squares)


def _scaled(distance: Distance, factor: float) -> Distance:
    return Distance(distance.mean, (distance.whitening * factor).astype(np.float32))
