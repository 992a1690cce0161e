"""Risk against coverage: how many decisions are wrong when doubtful ones are left to a person.

Geifman & El-Yaniv 2017, "Selective classification for deep neural networks": rows are accepted
in order of doubt, the least doubtful first; coverage is the share accepted, risk the share of them
that is decided wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tipstaff_server.evaluator.ood import THRESHOLD
from tipstaff_trainer.evaluation.base import Floats
from tipstaff_trainer.evaluation.curves import Curve
from tipstaff_trainer.evaluation.scored import ScoredRows

# Coverages that are plotted; below them the risk is mostly chance.
_PLOTTED = np.linspace(0.1, 1, 91)


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """One curve, from the fewest rows accepted to all.

    Attributes:
        coverage: Shares of the rows accepted, rising to 1, shape (k,).
        risk: Share of wrong decisions among them, shape (k,); the last is that of all rows.
        area: Area under the curve, the mean risk over all coverages; less is better.
        best_area: The least possible area, where the wrong decisions are the most doubtful ones.
    """

    coverage: Floats
    risk: Floats
    area: float
    best_area: float

    def risk_at(self, coverage: float) -> float:
        """The risk where at least this share is accepted, in (0, 1]."""
        return float(self.risk[np.searchsorted(self.coverage, coverage - 1e-12)])


def risk_coverage(wrong: npt.ArrayLike, doubt: npt.ArrayLike) -> RiskCoverage:
    """The curve over some rows.

    Args:
        wrong: Whether each decision was wrong, shape (n,), not empty.
        doubt: How doubtful each is, on any scale, shape (n,): an out-of-distribution score, say,
            or the `uncertainty` of the score. Rows of equal doubt are accepted together.
    """
    errors, level = np.asarray(wrong, dtype=float), np.asarray(doubt, dtype=float)
    order = np.argsort(level, kind="stable")
    accepted = np.arange(1, len(order) + 1)
    risk = np.cumsum(errors[order]) / accepted
    # Rows of equal doubt make one point of the curve: the last.
    last = np.append(np.diff(level[order]) > 0, True)
    ideal = np.cumsum(np.sort(errors)) / accepted
    steps = np.diff(np.append(0, accepted[last])) / len(order)
    return RiskCoverage(
        coverage=accepted[last] / len(order),
        risk=risk[last],
        area=float(steps @ risk[last]),
        best_area=float(ideal.mean()),
    )


def uncertainty(scores: npt.ArrayLike) -> Floats:
    """The uncertainty of each score: 0 for 0 and 1, 1 for one half; shape (n,)."""
    values: Floats = 1 - 2 * np.abs(np.asarray(scores, dtype=float) - 0.5)
    return values


def risk_coverage_curves(scored: ScoredRows) -> tuple[Curve, ...]:
    """Curves for a report, of decisions at 0.5: by score, and unlike rows first.

    The second exists only where some rows are out of distribution: these are then more doubtful
    than any other.
    """
    unsure = uncertainty(scored.scores)
    unlike = [(each.ood_score or 0) > THRESHOLD for each in scored.predictions]
    doubts = {"Risk against coverage, by the score": unsure}
    if any(unlike):
        doubts["Risk against coverage, unlike rows left out first"] = unsure + np.array(unlike)
    return tuple(
        _plotted(name, risk_coverage(~scored.right, doubt)) for name, doubt in doubts.items()
    )


def _plotted(name: str, curve: RiskCoverage) -> Curve:
    return Curve(
        name=name,
        x_label="rows decided, the least doubtful first",
        y_label="wrong among them",
        x=tuple(_PLOTTED.round(4).tolist()),
        y=tuple(round(curve.risk_at(share), 4) for share in _PLOTTED.tolist()),
    )
