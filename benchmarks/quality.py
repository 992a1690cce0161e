"""Measures the quality of evaluators; each command is one protocol.

    python benchmarks/quality.py test EVOUNA          trains on all rows of the training file
    python benchmarks/quality.py rows EVOUNA          trains on 1,000 of them
    python benchmarks/quality.py systems EVOUNA       holds out each answering system in turn
    python benchmarks/quality.py judge EVOUNA OPENQA  compares with the judge on half of OPENQA
    python benchmarks/quality.py folds FILE           cross-validates on one file, in five folds

`test` and `rows` measure on the test file. `systems` measures on the test file's answers of the
system that is held out. `judge` trains on EVOUNA and on the judge's labels of one half of OPENQA,
and compares evaluator and judge with people's labels of the other half. Folds keep groups whole.

EVOUNA is a folder with the Natural Questions part of EVOUNA (Wang et al. 2023) as `train.jsonl` and
`test.jsonl`: input, output, ground_truth, label, group and system. OPENQA and FILE are JSON lines;
OPENQA has `judge_label` beside `label` (Kamalloo et al. 2023). Every number comes from the int8
bundle in the server's code, with default settings except for `--set NAME=VALUE`. Results are cached
in `--cache` (`experiments.py`). Prints one JSON object per line.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from experiments import Experiment, Result, run
from sklearn.metrics import roc_auc_score

from tipstaff_trainer.data import Data, Row, read_rows, split_rows, without_groups_of
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.reference_metrics import reference_metrics

Record = dict[str, Any]

_FEW_ROWS = 1000
_FOLDS = 5
_RESAMPLES = 10_000


def main() -> None:
    """Runs one protocol and prints its results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("protocol", choices=sorted(_PROTOCOLS))
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--cache", type=Path, default=Path("build/quality"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    for seed in args.seeds:
        settings = TrainSettings.model_validate(
            dict(text.split("=", 1) for text in args.set) | {"seed": seed}
        )
        for record in _PROTOCOLS[args.protocol](args.data, settings, args.cache):
            print(json.dumps({"protocol": args.protocol, "seed": seed, **record}), flush=True)


def on_the_test_file(
    data: Sequence[Path], settings: TrainSettings, cache: Path
) -> Iterator[Record]:
    """Trains on all rows of the training file; measures on the test file."""
    train, test = _evouna(data[0])
    result = _run(train, train.rows, test.rows, settings, cache)
    contains = reference_metrics(test.rows, separator="/")["contains a reference"]
    substring = [contains(row) for row in test.rows]
    labels = [row.label for row in test.rows]
    yield {
        **_summary(result),
        "train_rows": len(train.rows),
        "substring_accuracy": classification_metrics(labels, substring)["accuracy"],
    }


def of_few_rows(data: Sequence[Path], settings: TrainSettings, cache: Path) -> Iterator[Record]:
    """Trains on 1,000 rows of the training file; measures on the test file."""
    train, test = _evouna(data[0])
    _, few = split_rows(train.rows, _FEW_ROWS / len(train.rows), seed=settings.seed)
    yield {**_summary(_run(train, few, test.rows, settings, cache)), "train_rows": len(few)}


def of_systems_held_out(
    data: Sequence[Path], settings: TrainSettings, cache: Path
) -> Iterator[Record]:
    """Trains without each answering system in turn; measures on its answers to new questions."""
    train, test = _evouna(data[0])
    areas = []
    for system in sorted({row.extra["system"] for row in train.rows}):
        rest = [row for row in train.rows if row.extra["system"] != system]
        system_rows = [row for row in test.rows if row.extra["system"] == system]
        result = _run(train, rest, system_rows, settings, cache)
        areas.append(_area(result))
        yield {"system": system, **_summary(result)}
    yield {"system": "mean", "roc_auc": round(float(np.mean(areas)), 4)}


def beside_the_judge(
    data: Sequence[Path], settings: TrainSettings, cache: Path
) -> Iterator[Record]:
    """Trains on EVOUNA and half of OPENQA; compares accuracy with the judge's on the other half."""
    train, _ = _evouna(data[0])
    by_people = read_rows(data[1], label_source="human")
    by_judge = read_rows(data[1], mapping={"label": "judge_label"}, label_source="judge")
    train_half, test_half = split_rows(by_people.rows, 0.5, seed=settings.seed)
    train_ids = {row.id for row in train_half}
    judged = [row for row in by_judge.rows if row.id in train_ids]
    verdicts = {row.id: row.good for row in by_judge.rows}
    rows = [*without_groups_of(train.rows, test_half), *judged]
    result = _run(train, rows, test_half, settings, cache)

    good = np.array([row.good for row in test_half])
    correct = (result.scores >= 0.5) == good
    judge_correct = np.array([verdicts[row.id] for row in test_half]) == good
    yield {
        **_summary(result),
        "judge_accuracy": round(float(judge_correct.mean()), 4),
        "difference": round(float(correct.mean() - judge_correct.mean()), 4),
        "interval": _paired_bootstrap(correct, judge_correct, [row.group for row in test_half]),
    }


def in_folds(data: Sequence[Path], settings: TrainSettings, cache: Path) -> Iterator[Record]:
    """Scores every row with an evaluator that was not trained on its group."""
    whole = read_rows(data[0], label_source="human")
    remaining, areas, labels, scores = list(whole.rows), [], [], []
    for fold in range(_FOLDS):
        if fold < _FOLDS - 1:
            remaining, test = split_rows(remaining, 1 / (_FOLDS - fold), seed=settings.seed)
        else:
            test = remaining
        test_ids = {row.id for row in test}
        rest = [row for row in whole.rows if row.id not in test_ids]
        result = _run(whole, rest, test, settings, cache)
        labels += [row.good for row in test]
        scores += result.scores.tolist()
        areas.append(_area(result))
        yield {"fold": fold, **_summary(result)}
    yield {
        "fold": "all",
        "roc_auc": round(float(np.mean(areas)), 4),
        "roc_auc_pooled": round(float(roc_auc_score(labels, scores)), 4),
    }


def _evouna(folder: Path) -> tuple[Data, Data]:
    """Reads the training rows that share no group with a test row, and the test rows."""
    train = read_rows(folder / "train.jsonl", label_source="human")
    test = read_rows(folder / "test.jsonl", label_source="human")
    return replace(train, rows=without_groups_of(train.rows, test.rows)), test


def _run(
    data: Data, train: Sequence[Row], test: Sequence[Row], settings: TrainSettings, cache: Path
) -> Result:
    return run(Experiment(train, test, data.columns, settings), cache)


def _area(result: Result) -> float:
    area = result.metrics["roc_auc"]
    if area is None:
        raise SystemExit("the held-out rows are all of one class, so there is no AUROC")
    return area


def _summary(result: Result) -> Record:
    return {
        **{
            name: value if not isinstance(value, float) else round(value, 4)
            for name, value in result.metrics.items()
        },
        "cut": round(result.cut, 3),
        "balanced_accuracy_at_cut": round(result.balanced_accuracy_at_cut, 4),
        "train_and_export_seconds": round(result.seconds),
    }


def _paired_bootstrap(correct: Any, other_correct: Any, groups: Sequence[str]) -> list[float]:
    """A 95 % interval of the difference in accuracy; the bootstrap draws whole groups."""
    names, group = np.unique(groups, return_inverse=True)
    group_gain = np.bincount(group, weights=correct.astype(float) - other_correct)
    group_size = np.bincount(group)
    drawn = np.random.default_rng(0).integers(0, len(names), (_RESAMPLES, len(names)))
    differences = group_gain[drawn].sum(axis=1) / group_size[drawn].sum(axis=1)
    return [round(float(end), 4) for end in np.quantile(differences, [0.025, 0.975])]


_PROTOCOLS = {
    "test": on_the_test_file,
    "rows": of_few_rows,
    "systems": of_systems_held_out,
    "judge": beside_the_judge,
    "folds": in_folds,
}


if __name__ == "__main__":
    main()
