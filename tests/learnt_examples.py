"""Manifests' records of evaluators that have learnt and that have not."""

from __future__ import annotations

from tipstaff_server.evaluator.learnt import BaselineComparison, Learnt
from tipstaff_server.evaluator.quality import Interval


def beside(baseline: str, value: float, difference: tuple[float, float, float], *, passed: bool):
    return BaselineComparison(
        baseline=baseline,
        measure="AUROC",
        evaluator=value + difference[0],
        value=value,
        difference=Interval(value=difference[0], low=difference[1], high=difference[2], n=200),
        passed=passed,
    )


_BETTER = beside("chance", 0.5, (0.35, 0.29, 0.4), passed=True)
_CHANCE = beside("chance", 0.5, (0.05, -0.03, 0.13), passed=False)

LEARNT = Learnt(rows="test", n=200, good=100, comparisons=(_BETTER,), verdict=True)
NOT_LEARNT = Learnt(rows="test", n=200, good=100, comparisons=(_CHANCE,), verdict=False)
BEHIND_WORDS = Learnt(
    rows="validation",
    n=200,
    good=100,
    comparisons=(
        _BETTER,
        beside("word overlap", 0.95, (-0.1, -0.15, -0.05), passed=False),
    ),
    verdict=False,
)
AS_GOOD_AS_WORDS = Learnt(
    rows="test",
    n=200,
    good=100,
    comparisons=(_BETTER, beside("word overlap", 0.86, (-0.01, -0.05, 0.03), passed=True)),
    verdict=True,
)
