"""How an evaluator compares with simpler rules on labelled rows, and whether it has learnt."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tipstaff_server.evaluator.quality import Interval


class _Part(BaseModel):
    # Unknown fields are ignored, so that an older server reads a manifest that has grown.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class BaselineComparison(_Part):
    """The evaluator beside one simpler rule, on the same rows.

    Attributes:
        baseline: `chance` scores at random; `base rate` gives every output the share of good rows;
            `word overlap` is the share of the output's words that occur in the ground truth, rare
            words counting more, and `reverse` the other way round; `version before` is an earlier
            version of the evaluator.
        measure: `AUROC`, or `Brier score`: the mean squared difference of score and label.
        evaluator: The evaluator's measure.
        value: The baseline's.
        difference: How much better the evaluator is, above 0 where it is, with its 95 % interval.
        passed: Whether the evaluator counts as better.
    """

    baseline: str
    measure: Literal["AUROC", "Brier score"]
    evaluator: float
    value: float
    difference: Interval
    passed: bool

    def __str__(self) -> str:
        return (
            f"{self.baseline} ({self.measure} {self.evaluator:.3f} against {self.value:.3f}, "
            f"difference {self.difference})"
        )


class Learnt(_Part):
    """Whether the evaluator is better than all simpler rules that it was compared with.

    Attributes:
        rows: What it was compared on: `validation`, or `validation and test`.
        n: Rows.
        good: Good rows among them.
        comparisons: One for each baseline; empty where the rows can't tell.
        verdict: Whether it counts as better than all of them.
    """

    rows: str
    n: int = Field(ge=0)
    good: int = Field(ge=0)
    comparisons: tuple[BaselineComparison, ...] = ()
    verdict: bool
