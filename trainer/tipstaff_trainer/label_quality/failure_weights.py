"""How much more rows weigh that an evaluator got wrong in service, and rows like them.

Weighing failures more helps where they are of a kind that the other rows lack, and hurts where they
are noise. So the factor is chosen by what a cheap classifier, a logistic regression on a frozen
encoder's embeddings, predicts of traffic that it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from tipstaff_trainer.data import Row, united_groups
from tipstaff_trainer.encoders.base import Base
from tipstaff_trainer.label_quality.label_errors import features

FACTORS = (1.0, 2.0, 4.0)
# Rows nearest to each failure, which weigh more too, by the root of the factor.
_NEIGHBOURS = 5
_FOLDS = 5
# With fewer failures nothing can be told of a factor.
FEWEST_FAILURES = 10

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FailureWeights:
    """Rows weighted for their failures.

    Attributes:
        rows: The rows, in their order.
        factor: The factor that was chosen; 1 leaves all as they are.
        similar: Rows like failures.
        losses: The log loss on held-out traffic, by factor; empty if none was compared.
    """

    rows: tuple[Row, ...]
    factor: float
    similar: int
    losses: dict[float, float]


def weigh_failures(
    rows: Sequence[Row],
    base: Base,
    *,
    failures: Collection[int],
    traffic: Collection[int],
    seed: int,
) -> FailureWeights:
    """Weighs failures and rows like them by the factor that predicts traffic best.

    Args:
        rows: All rows to train on, labelled.
        base: The encoder for the comparison.
        failures: The places of the rows that the evaluator got wrong in service.
        traffic: The places of all rows from traffic that people labelled.
        seed: Seeds the folds.
    """
    groups = np.array(united_groups(rows))
    good = np.array([row.good for row in rows])
    fewest = min(len(np.unique(groups[good])), len(np.unique(groups[~good])))
    if len(failures) < FEWEST_FAILURES or fewest < _FOLDS:
        return FailureWeights(tuple(rows), 1.0, 0, {})
    matrix = features([row.interaction for row in rows], base)
    similar = _similar(matrix, failures)
    held_out = np.isin(np.arange(len(rows)), list(traffic))
    losses: dict[float, float] = {}
    for factor in FACTORS:
        weights = _weights(rows, failures, similar, factor)
        losses[factor] = _loss(matrix, good, groups, weights, held_out, seed)
    best = min(FACTORS, key=lambda factor: (losses[factor], factor))
    weights = _weights(rows, failures, similar, best)
    weighted = tuple(
        replace(row, weight=float(weight)) for row, weight in zip(rows, weights, strict=True)
    )
    return FailureWeights(weighted, best, len(similar), losses)


def _similar(matrix: npt.NDArray[np.floating], failures: Collection[int]) -> set[int]:
    unit = matrix / (np.linalg.norm(matrix, axis=1, keepdims=True) + 1e-9)
    nearness = unit[list(failures)] @ unit.T
    nearness[:, list(failures)] = -np.inf
    count = min(_NEIGHBOURS, len(matrix) - len(failures))
    if count <= 0:
        return set()
    nearest = np.argpartition(-nearness, count - 1, axis=1)[:, :count]
    return set(nearest.ravel().tolist())


def _weights(
    rows: Sequence[Row], failures: Collection[int], similar: Collection[int], factor: float
) -> Floats:
    weights = np.array([row.weight for row in rows])
    weights[list(failures)] *= factor
    weights[list(similar)] *= factor**0.5
    return weights


def _loss(
    matrix: npt.NDArray[np.floating],
    good: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.str_],
    weights: Floats,
    held_out: npt.NDArray[np.bool_],
    seed: int,
) -> float:
    """The log loss on traffic, each row predicted without its group."""
    total = 0.0
    splitter = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for rest, part in splitter.split(matrix, good, groups):
        measured = part[held_out[part]]
        if not len(measured):
            continue
        model = LogisticRegression(max_iter=2000)
        model.fit(matrix[rest], good[rest], sample_weight=weights[rest])
        probability = model.predict_proba(matrix[measured])[:, 1]
        right = np.where(good[measured], probability, 1 - probability)
        total -= float(np.log(np.maximum(right, 1e-9)).sum())
    return total / max(1, int(held_out.sum()))
