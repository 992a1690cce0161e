"""Measures whether the words that an explanation highlights lower the score.

    python benchmarks/explain.py BUNDLE DATA [--rows N] [--validation TEST]

Removes the highlighted words from bad outputs of DATA, scores the rest with BUNDLE, and compares
with removing the same number of random words, singly and in stretches as long as the highlighted
ones. DATA should be new to BUNDLE; `--validation TEST` takes only the rows that `tipstaff train
DATA --test TEST` used for validation. Prints one JSON object: the mean rise of the score and of its
log-odds for each method, with 95 % intervals from a bootstrap over groups.
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
    """Records how much one way of removing words raises each row's score and log-odds."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._mean_rises: list[tuple[float, float]] = []

    def add(self, interaction: Interaction, several: Sequence[Sequence[Span]]) -> None:
        """Adds a row's mean rise over several choices of words."""
        slope = self._evaluator.graph.calibration.slope
        before = self._evaluator.score(interaction)
        rises = []
        for spans in several:
            left = without(interaction.output or "", spans)
            after = self._evaluator.score(replace(interaction, output=left))
            rises.append((after.score - before.score, slope * (after.logit - before.logit)))
        self._mean_rises.append(tuple(np.mean(rises, axis=0)))

    def array(self) -> np.ndarray:
        """The mean rises of score and log-odds, shape (rows, 2)."""
        return np.array(self._mean_rises)


def at_random(dice: random.Random, words: Sequence[Span], count: int) -> list[Span]:
    """Draws words one by one."""
    return dice.sample(list(words), count)


def stretches(dice: random.Random, words: Sequence[Span], lengths: Sequence[int]) -> list[Span]:
    """Draws stretches of these lengths at random places without overlap."""
    shuffled = dice.sample(list(lengths), len(lengths))
    free = len(words) - sum(shuffled)
    gaps = sorted(dice.randint(0, free) for _ in shuffled)
    spans, used = [], 0
    for words_before, length in zip(gaps, shuffled, strict=True):
        first = words_before + used
        spans.append((words[first][0], words[first + length - 1][1]))
        used += length
    return spans


def bad_rows(evaluator: Evaluator, data: Path, *, test: Path | None, most: int) -> list[Row]:
    """Returns the rows to explain: bad ones whose output has at least a few words."""
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
    """Explains the rows, removes words, compares the scores and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=200, help="drawn from the bad ones")
    parser.add_argument(
        "--validation", type=Path, metavar="TEST", help="take only the validation rows"
    )
    args = parser.parse_args()

    evaluator = Evaluator.load(args.bundle)
    rows = bad_rows(evaluator, args.data, test=args.validation, most=args.rows)
    dice = random.Random(1)
    ways = {name: Rises(evaluator) for name in ("highlighted", "random words", "random stretches")}
    seconds, highlighted_words, all_words = 0.0, 0, 0
    for row in tqdm(rows, desc="explaining", unit="row"):
        interaction = row.interaction
        started = time.thread_time()
        highlights = evaluator.explain(interaction)
        seconds += time.thread_time() - started
        spans = [(each.start, each.end) for each in highlights]
        words = words_of(interaction.output or "")
        lengths = [sum(a >= start and b <= end for a, b in words) for start, end in spans]
        highlighted_words, all_words = highlighted_words + sum(lengths), all_words + len(words)
        ways["highlighted"].add(interaction, [spans])
        ways["random words"].add(
            interaction, [at_random(dice, words, sum(lengths)) for _ in range(_DRAWS)]
        )
        ways["random stretches"].add(
            interaction, [stretches(dice, words, lengths) for _ in range(_DRAWS)]
        )

    groups = np.array(united_groups(rows))
    results: dict[str, object] = {
        "rows": len(rows),
        "words_left_out": round(highlighted_words / all_words, 3),
    }
    highlighted = ways["highlighted"].array()
    for index, measure in enumerate(("score", "log_odds")):
        for name, rises in ways.items():
            column = rises.array()[:, index]
            results[f"{measure}, {name}"] = _interval(np.zeros(len(rows)), column, groups)
            if name != "highlighted":
                results[f"{measure}, highlighted less {name}"] = _interval(
                    column, highlighted[:, index], groups
                )
    results["explaining_cpu_ms"] = round(seconds / len(rows) * 1e3, 1)
    print(json.dumps(results))


def _interval(baseline: np.ndarray, values: np.ndarray, groups: np.ndarray) -> list[float]:
    interval = mean_difference(baseline, values, groups)
    return [round(each, 4) for each in (interval.value, interval.low, interval.high)]


if __name__ == "__main__":
    main()
