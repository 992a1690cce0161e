"""The mixture of plain and rewritten rows that a certificate can be proved on."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tipstaff_trainer.data import Row
from tipstaff_trainer.probes.augment import rewritten_row
from tipstaff_trainer.probes.pool import Pool
from tipstaff_trainer.probes.rewritings import REWRITINGS

# The share of rows that are rewritten, where a rewriting applies.
REWRITTEN = 0.5


def mixed(rows: Sequence[Row]) -> list[Row]:
    """The rows, half of them rewritten by a rewriting drawn evenly, in wordings for probes.

    Each row's draw depends on its id alone, so that nobody can draw again for a better result, and
    rows stay independent.

    Args:
        rows: Labelled rows.

    Returns:
        As many rows, in their order, each with the label that it has now.
    """
    pool = Pool.of(rows)
    return [_mixed(row, pool) for row in rows]


def _mixed(row: Row, pool: Pool) -> Row:
    generator = random.Random(f"mixture {row.id}")
    if generator.random() >= REWRITTEN:
        return row
    usable = [each for each in REWRITINGS if each.fits(row, pool.kinds.of(row))]
    for rewriting in generator.sample(usable, len(usable)):
        rewritten = rewritten_row(rewriting, row, pool, "probing", generator)
        if rewritten is not None:
            return rewritten
    return row
