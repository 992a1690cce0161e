"""Probes a newly trained evaluator on its validation rows, within a bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.quality import Probes
from tipstaff_trainer.data import Row
from tipstaff_trainer.probes.measure import probe
from tipstaff_trainer.probes.pool import Pool
from tipstaff_trainer.probes.rewritings import REWRITINGS
from tipstaff_trainer.progress import Reporter

# Rows of each class, for intervals of a tenth; fewer where rows are long, and too few tell nothing.
_MOST_ROWS = 40
_FEWEST_ROWS = 10
# All rewritings together; some seconds of two cores.
_MOST_TOKENS = 150_000
# More wrong verdicts than this, surely, are worth a warning.
_WORTH_A_WARNING = 0.1


def probe_validation(
    evaluator: Evaluator, rows: Sequence[Row], *, seed: int, reporter: Reporter
) -> Probes | None:
    """Measures what rewriting outputs does to the verdicts on a sample of the validation rows.

    Args:
        evaluator: The evaluator.
        rows: Its validation rows: none that it was trained on.
        seed: Seeds the sample and the rewritings.
        reporter: Takes a warning where a rewriting does harm.

    Returns:
        None without rows that can be rewritten, where they are so long that it would take minutes,
        or without ground truths: what a rewriting does to the label is not sure then.
    """
    pool = Pool.of(rows)
    if not rows or pool.kinds.usual == "form":
        return None
    usable = sum(each.suits(pool.kinds) for each in REWRITINGS)
    sample = rows[:_MOST_ROWS]
    tokens = mean(
        sum(part.total for part in evaluator.encode(row.interaction).coverage.values())
        for row in sample
    )
    count = min(_MOST_ROWS, int(_MOST_TOKENS / (usable * max(1.0, tokens))))
    if count < _FEWEST_ROWS:
        reporter.note("the rows are too long to be probed in passing: see tipstaff probe")
        return None
    probes = probe(evaluator, rows, pool, sample=count, seed=seed).probes
    harmful = [rate for rate in probes.rates if rate.harm.low > _WORTH_A_WARNING]
    if harmful:
        reporter.warn(
            f"rewritten outputs change too many verdicts: {', '.join(map(str, harmful[:3]))}",
            remedy="see examples with tipstaff probe",
        )
    return probes if probes.rates else None
