"""A second opinion on a judge's labels: an evaluator's scores, or out-of-fold probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.records import number_in


class SecondOpinion(Request):
    """Settings of the second opinion that a judge's labels are compared with."""

    evaluator: Path | None = setting(None, "compare with its scores", unit="bundle", local=True)
    scores: str | None = setting(None, "compare with the scores in this column", unit="column")
    out_of_fold: bool = setting(False, "compare with probabilities learned from the other rows")

    @model_validator(mode="after")
    def _check_one_evaluator(self) -> Self:
        if self.evaluator is not None and self.scores is not None:
            raise UsageError(
                "there are scores already", field="evaluator", remedy="leave out {scores}"
            )
        return self


def evaluator_scores(request: SecondOpinion, rows: Sequence[Row]) -> list[float] | None:
    """An evaluator's score of each row, or NaN; None if the request names no bundle or column.

    Raises:
        DataError: No row has a score in the column, or a score is not a probability.
        BundleError: The bundle is damaged.
    """
    if request.scores is not None:
        scores = [number_in(row, request.scores) for row in rows]
        if all(map(math.isnan, scores)):
            raise DataError(
                "no row has a score in a column of this name", field="scores", value=request.scores
            )
        return scores
    if request.evaluator is None:
        return None

    from tipstaff_server.evaluator import Evaluator
    from tipstaff_trainer.evaluation.predict import predict_all

    evaluator = Evaluator.load(request.evaluator)
    predictions = predict_all(evaluator, [row.interaction for row in rows])
    return [prediction.score for prediction in predictions]
