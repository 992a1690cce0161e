"""Measures whether the words that an explanation highlights lower the score.

    python benchmarks/explain.py BUNDLE DATA [--rows N] [--validation TEST]

Leaves the highlighted words out of bad outputs of DATA, scores what is left with BUNDLE, and
compares with leaving out as many words drawn at random, singly and in stretches as long as the
highlighted ones. DATA should be new to BUNDLE; `--validation TEST` takes only the rows that
`tipstaff train DATA --test TEST` used for validation. Prints one JSON object: the mean rise of the
score and of its log-odds for each method, with 95 % intervals from a bootstrap over groups.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tipstaff.types import Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.explanation import without, words_of
from tipstaff_server.evaluator.windows import Span
from tipstaff_trainer.data import Row, read_rows, split_rows, without_groups_of
from tipstaff_trainer.data.groups import united_groups
from tipstaff_trainer.evaluation.intervals import mean_difference

# Random draws for each row.
_DRAWS = 5
_LEAST_WORDS = 5


class Rises:
    """How much one method of leaving words out raises each row's score and log-odds."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._found: list[tuple[float, float]] = []

    def add(self, interaction: Interaction, several: Sequence[Sequence[Span]]) -> None:
        """Adds a row's mean rise over several choices of words."""
        slope = self._evaluator.graph.calibration.slope
        before = self._evaluator.score(interaction)
        rises = []
        for spans in several:
            left = without(interaction.output or "", spans)
            after = self._evaluator.score(replace(interaction, output=left))
            rises.append((after.score - before.score, slope * (after.logit - before.logit)))
        self._found.append(tuple(np.mean(rises, axis=0)))

    def array(self) -> np.ndarray:
        """Shape (rows, 2)."""
        return np.array(self._found)


def at_random(dice: random.Random, words: Sequence[Span], count: int) -> list[Span]:
    """Words drawn one by one."""
    return dice.sample(list(words), count)


def stretches(dice: random.Random, words: Sequence[Span], lengths: Sequence[int]) -> list[Span]:
    """Stretches of the given lengths, at random places where they don't overlap."""
    order = dice.sample(list(lengths), len(lengths))
    free = len(words) - sum(order)
    cuts = sorted(dice.randint(0, free) for _ in order)
    spans, taken = [], 0
    for gap, length in zip(cuts, order, strict=True):
        first = gap + taken
        spans.append((words[first][0], words[first + length - 1][1]))
        taken += length
    return spans


def bad_rows(evaluator: Evaluator, data: Path, *, test: Path | None, most: int) -> list[Row]:
    """Rows to explain: bad ones, with an output of at least a few words."""
    rows = read_rows(data).rows
    if test is not None:
        rows = without_groups_of(rows, read_rows(test).rows)
        settings = evaluator.manifest.training.settings
        size, seed = float(str(settings["validation_size"])), int(str(settings["seed"]))
        _, rows = split_rows(rows, size, seed=seed)
    bad = [
        row
        for row in rows
        if row.label < 0.5 and len(words_of(row.interaction.output or "")) >= _LEAST_WORDS
    ]
    return random.Random(0).sample(bad, min(most, len(bad)))


def main() -> None:
    """Explains, leaves out, compares, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=200, help="drawn from the bad ones")
    parser.add_argument("--validation", type=Path, metavar="TEST", help="see above")
    args = parser.parse_args()

    evaluator = Evaluator.load(args.bundle)
    rows = bad_rows(evaluator, args.data, test=args.validation, most=args.rows)
    dice = random.Random(1)
    ways = {name: Rises(evaluator) for name in ("highlighted", "random words", "random stretches")}
    seconds, marked, of = 0.0, 0, 0
    for row in tqdm(rows, desc="explaining", unit="row"):
        interaction = row.interaction
        started = time.thread_time()
        highlights = evaluator.explain(interaction)
        seconds += time.thread_time() - started
        spans = [(each.start, each.end) for each in highlights]
        words = words_of(interaction.output or "")
        lengths = [sum(a >= start and b <= end for a, b in words) for start, end in spans]
        marked, of = marked + sum(lengths), of + len(words)
        ways["highlighted"].add(interaction, [spans])
        ways["random words"].add(
            interaction, [at_random(dice, words, sum(lengths)) for _ in range(_DRAWS)]
        )
        ways["random stretches"].add(
            interaction, [stretches(dice, words, lengths) for _ in range(_DRAWS)]
        )

    groups = np.array(united_groups(rows))
    found: dict[str, object] = {"rows": len(rows), "words_left_out": round(marked / of, 3)}
    highlighted = ways["highlighted"].array()
    for index, measure in enumerate(("score", "log_odds")):
        for name, rises in ways.items():
            column = rises.array()[:, index]
            found[f"{measure}, {name}"] = _shown(np.zeros(len(rows)), column, groups)
            if name != "highlighted":
                found[f"{measure}, highlighted less {name}"] = _shown(
                    column, highlighted[:, index], groups
                )
    found["explaining_cpu_ms"] = round(seconds / len(rows) * 1e3, 1)
    print(json.dumps(found))


def _shown(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> list[float]:
    interval = mean_difference(first, second, groups)
    return [round(each, 4) for each in (interval.value, interval.low, interval.high)]


if __name__ == "__main__":
    main()
