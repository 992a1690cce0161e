"""How many rows each set gives, so that a large one doesn't drown the others."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

Sampling = Literal["cap", "root", "all"]
Item = TypeVar("Item")


def counts(sizes: Mapping[str, int], sampling: Sampling, *, cap: int, total: int) -> dict[str, int]:
    """The number of rows that each set gives.

    Args:
        sizes: The number of rows that each has.
        sampling: `cap`: all it has, at most `cap`. `root`: its share of `total` rows goes with the
            square root of its size; what a small set lacks is shared among the others. `all`: all.
        cap: For `cap`.
        total: For `root`.
    """
    if sampling == "all":
        return dict(sizes)
    if sampling == "cap":
        return {name: min(size, cap) for name, size in sizes.items()}
    taken: dict[str, int] = {}
    open_sets, left = dict(sizes), min(total, sum(sizes.values()))
    while open_sets:
        whole = sum(math.sqrt(size) for size in open_sets.values())
        shares = {name: left * math.sqrt(size) / whole for name, size in open_sets.items()}
        full = [name for name, share in shares.items() if share >= open_sets[name]]
        if not full:
            return {name: taken.get(name, round(shares.get(name, 0))) for name in sizes}
        for name in full:
            taken[name] = open_sets.pop(name)
            left -= taken[name]
    return {name: taken[name] for name in sizes}


def draw(rows: Sequence[Item], count: int, *, seed: int) -> list[Item]:
    """So many rows at random, in their order; the same for the same seed.

    Rows are drawn, not groups: a question with one answer each teaches more than few questions with
    five. Each keeps its group, so that a later split keeps groups whole.
    """
    chosen = random.Random(seed).sample(range(len(rows)), count)
    return [rows[index] for index in sorted(chosen)]
