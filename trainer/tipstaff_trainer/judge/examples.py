"""Which reviewed rows to show a judge as examples."""

from __future__ import annotations

from collections.abc import Sequence

from tipstaff_trainer.data import Row

FEWEST_EXAMPLES = 5
MOST_EXAMPLES = 20


def choose_examples(reviewed: Sequence[Row], count: int) -> tuple[Row, ...]:
    """Chooses examples that differ: as many good as bad, then the farthest from those chosen.

    Farthest-first traversal (Gonzalez 1985) over the cosine distance of tf-idf vectors of all of a
    row's texts; the first of each class is the one nearest to the class's centre. At most one row
    of a group. Rows of another source than a human are used only where there are no human ones.

    Args:
        reviewed: Labelled rows.
        count: How many, 5 to 20; fewer come back when there are fewer.

    Returns:
        Good and bad in turns, so that neither class ends the list in a run.
    """
    raise NotImplementedError
