"""Scores rows with the version before, for a training to compare its evaluator with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tipstaff.errors import TipstaffError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.base import Floats
from tipstaff_trainer.evaluation.notices import trained_on
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.progress import Reporter


def scores_before(
    path: Path | None, reporter: Reporter
) -> Callable[[Sequence[Row]], Floats | None] | None:
    """What scores rows with the version before; None without one.

    Args:
        path: Its bundle.
        reporter: Is warned where it can't be compared with.

    Returns:
        Computes scores, shape (n,): NaN for rows that it was trained on, or that belong with such
        rows. None instead of scores where it can't be compared with.
    """
    if path is None:
        return None

    def scores(rows: Sequence[Row]) -> Floats | None:
        try:
            bundle = Bundle.open(path)
            matches = trained_on(rows, bundle)
            if matches is None:
                reporter.warn(
                    f"not compared with {path}, which doesn't know the rows that it was trained on"
                )
                return None
            new = np.flatnonzero(~matches.any(axis=1))
            values = np.full(len(rows), np.nan)
            if len(new):
                evaluator = Evaluator.load(path)
                interactions = [rows[place].interaction for place in new.tolist()]
                predictions = predict_all(evaluator, interactions)
                values[new] = [each.score for each in predictions]
        except TipstaffError as error:
            # It can be replaced all the same.
            reporter.warn(f"not compared with the version before: {error}")
            return None
        if not len(new):
            reporter.warn(f"not compared with {path}, which was trained on all of these rows")
        return values

    return scores
