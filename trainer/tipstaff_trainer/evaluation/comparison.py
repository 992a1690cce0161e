"""Compares two evaluators on the same rows: what got better or worse, and whether by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import binom
from sklearn.metrics import cohen_kappa_score

from tipstaff.types import Verdict
from tipstaff_server.evaluator.cases import Outcome
from tipstaff_server.evaluator.quality import Interval
from tipstaff_trainer.evaluation import intervals
from tipstaff_trainer.evaluation.base import Bools, Ints, Part
from tipstaff_trainer.evaluation.changed_rows import (
    ChangedRow,
    ChangedVerdicts,
    changed_rows,
    changed_verdicts,
)
from tipstaff_trainer.evaluation.contents import CaseOutcome, Measured, case_outcome, utc_now
from tipstaff_trainer.evaluation.scored import ScoredRows

SIGNIFICANT = 0.05


class ChangedCase(Part):
    """A named case that only one of the two meets."""

    first: CaseOutcome
    second: CaseOutcome


class Comparison(Part):
    """The second evaluator against the first.

    Decisions are taken at 0.5 of the score, as in the metrics. Verdicts, and what is derived from
    them, depend on the policies.

    Attributes:
        first: Usually the one that serves now.
        second: Usually the one that may replace it.
        data: The rows' file, as the user named it.
        made_at: UTC, ISO 8601.
        n: Rows.
        both_right: Rows that both decide right.
        both_wrong: Rows that neither decides right.
        better: Rows that only the second decides right, the largest change first.
        worse: Rows that only the first decides right, likewise.
        p: Of McNemar's exact test by groups (`mcnemar`): the probability of counts of better and
            worse at least as uneven if neither evaluator is better.
        kappa: Cohen's κ between their decisions (Cohen 1960): 1 for the same decisions, 0 for
            agreement by chance; None where it isn't defined.
        accuracy_difference: The second's minus the first's, by a bootstrap over groups.
        auroc_difference: Likewise; None where all rows are of one class.
        verdicts: Rows by the first's verdict, then by the second's.
        changed_verdicts: The rows that only one of the two passes or blocks wrongly.
        cases: Number of named cases, which both ran.
        won: Named cases that only the second meets.
        lost: Named cases that only the first meets.
        regressions: Why the second must not replace the first; empty when it may.
    """

    first: Measured
    second: Measured
    data: str
    made_at: str
    n: int
    both_right: int
    both_wrong: int
    better: tuple[ChangedRow, ...]
    worse: tuple[ChangedRow, ...]
    p: float
    kappa: float | None
    accuracy_difference: Interval
    auroc_difference: Interval | None
    verdicts: dict[Verdict, dict[Verdict, int]]
    changed_verdicts: ChangedVerdicts
    cases: int
    won: tuple[ChangedCase, ...]
    lost: tuple[ChangedCase, ...]
    regressions: tuple[str, ...]


def compare(
    sides: tuple[Measured, Measured],
    scored: tuple[ScoredRows, ScoredRows],
    *,
    data: str,
    cases: tuple[Sequence[Outcome], Sequence[Outcome]] = ((), ()),
) -> Comparison:
    """Compares two evaluators.

    Args:
        sides: First and second.
        scored: The same rows, scored by each.
        data: Where the rows came from, for the reader.
        cases: The same named cases, run by each.
    """
    first, second = scored
    better, worse = second.right & ~first.right, first.right & ~second.right
    p = mcnemar(better, worse, first.groups)
    auroc_difference = intervals.auroc_difference(
        first.good, first.scores, second.scores, first.groups
    )
    pairs = Counter(
        (one.verdict, other.verdict)
        for one, other in zip(first.predictions, second.predictions, strict=True)
    )
    changed = [
        ChangedCase(first=case_outcome(one), second=case_outcome(other))
        for one, other in zip(*cases, strict=True)
        if one.met != other.met
    ]
    lost = tuple(case for case in changed if case.first.met)
    return Comparison(
        first=sides[0],
        second=sides[1],
        data=data,
        made_at=utc_now(),
        n=len(first),
        both_right=int((first.right & second.right).sum()),
        both_wrong=int((~first.right & ~second.right).sum()),
        better=changed_rows(first, second, better),
        worse=changed_rows(first, second, worse),
        p=p,
        kappa=_kappa(first.scores >= 0.5, second.scores >= 0.5),
        accuracy_difference=intervals.mean_difference(
            first.right.astype(float), second.right.astype(float), first.groups
        ),
        auroc_difference=auroc_difference,
        verdicts={one: {other: pairs[one, other] for other in Verdict} for one in Verdict},
        changed_verdicts=changed_verdicts(first, second),
        cases=len(cases[0]),
        won=tuple(case for case in changed if case.second.met),
        lost=lost,
        regressions=(
            *_worse_decisions(better, worse, p),
            *_worse_verdicts(first, second),
            *_regressions(auroc_difference, lost),
        ),
    )


def mcnemar(better: Bools, worse: Bools, groups: Ints) -> float:
    """Two-sided p of McNemar's exact test, with the rows of a group changing sign together.

    If neither evaluator is better, the two are exchangeable in any group, so each group's balance
    of better and worse rows has either sign with equal probability. This is the exact
    distribution of the sum over groups of either sign (a randomisation test, as in Edgington &
    Onghena 2007, "Randomization Tests"); with groups of one row it is McNemar's test (McNemar 1947;
    exact, as in Agresti 2013, "Categorical Data Analysis", section 11.1).

    Args:
        better: Shape (n,).
        worse: Shape (n,), true for none of the same rows.
        groups: A number from 0 for each row, shape (n,).
    """
    balance = np.bincount(groups, weights=better.astype(int) - worse.astype(int)).astype(int)
    reach = int(np.abs(balance).sum())
    # The probabilities of the sums -reach, 1 - reach, …, reach.
    sums = np.ones(1)
    sizes, counts = np.unique(np.abs(balance[balance != 0]), return_counts=True)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        of_this_size = np.zeros(2 * size * count + 1)
        of_this_size[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        sums = np.convolve(sums, of_this_size)
    as_uneven = np.abs(np.arange(-reach, reach + 1)) >= abs(balance.sum())
    return min(1.0, float(sums[as_uneven].sum()))


def _worse_decisions(better: Bools, worse: Bools, p: float) -> Iterator[str]:
    if worse.sum() > better.sum() and p < SIGNIFICANT:
        yield (
            f"worse on {worse.sum()} rows and better on {better.sum()}, beyond chance (p = {p:.2g})"
        )


def _worse_verdicts(first: ScoredRows, second: ScoredRows) -> Iterator[str]:
    """Regressions of the verdicts: each policy has cuts of its own."""
    for verdict, does, rows, count in (
        (Verdict.PASS, "passes", "bad", (~first.good).sum()),
        (Verdict.BLOCK, "blocks", "good", first.good.sum()),
    ):
        before, now = first.wrongly(verdict), second.wrongly(verdict)
        p = mcnemar(before & ~now, now & ~before, first.groups)
        if now.sum() > before.sum() and p < SIGNIFICANT:
            yield (
                f"{does} {now.sum()} of {count} {rows} rows, where the first {does} "
                f"{before.sum()} (p = {p:.2g})"
            )


def _regressions(auroc: Interval | None, lost: Sequence[ChangedCase]) -> Iterator[str]:
    if auroc is not None and auroc.high < 0:
        yield f"AUROC is lower by {-auroc.value:.3f} ({-auroc.high:.3f} to {-auroc.low:.3f})"
    if lost:
        names = ", ".join(f'"{case.second.case.name}"' for case in lost)
        yield f"{len(lost)} named {'case' if len(lost) == 1 else 'cases'} lost: {names}"


def _kappa(first: Bools, second: Bools) -> float | None:
    # Undefined where both decide all rows alike.
    both = np.concatenate([first, second])
    return None if both.all() or not both.any() else float(cohen_kappa_score(first, second))
