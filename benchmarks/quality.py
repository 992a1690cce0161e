"""Measures how good evaluators are; each command is one protocol.

    python benchmarks/quality.py test EVOUNA          all rows, on the test file, a line a seed
    python benchmarks/quality.py rows EVOUNA          1,000 rows of the training file, likewise
    python benchmarks/quality.py systems EVOUNA       each answering system held out, and tested on
    python benchmarks/quality.py judge EVOUNA OPENQA  trained on the judge's labels of half of
                                                      OPENQA, measured with people's of the other
    python benchmarks/quality.py folds FILE           five folds of one file, groups kept whole

EVOUNA is a folder with the Natural Questions part of EVOUNA (Wang et al. 2023) as `train.jsonl` and
`test.jsonl`: input, output, ground_truth, label, group and system. OPENQA and FILE are JSON lines;
OPENQA has `judge_label` beside `label` (Kamalloo et al. 2023). Every number is of the int8 bundle
through the server's code, with the default settings except for `--set NAME=VALUE`. Results are
cached in `--cache` (`experiments.py`). Prints one JSON object a line.
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
    contains = reference_metrics(separator="/")["contains a reference"]
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
    """Trains without one answering system; measures on its answers to new questions."""
    train, test = _evouna(data[0])
    areas = []
    for system in sorted({row.extra["system"] for row in train.rows}):
        rest = [row for row in train.rows if row.extra["system"] != system]
        own = [row for row in test.rows if row.extra["system"] == system]
        result = _run(train, rest, own, settings, cache)
        areas.append(_area(result))
        yield {"system": system, **_summary(result)}
    yield {"system": "mean", "roc_auc": round(float(np.mean(areas)), 4)}


def beside_the_judge(
    data: Sequence[Path], settings: TrainSettings, cache: Path
) -> Iterator[Record]:
    """Trains on EVOUNA and the judge's half of OPENQA; measures accuracy on people's half."""
    train, _ = _evouna(data[0])
    by_people = read_rows(data[1], label_source="human")
    by_judge = read_rows(data[1], mapping={"label": "judge_label"}, label_source="judge")
    ours, theirs = split_rows(by_people.rows, 0.5, seed=settings.seed)
    taught = {row.id for row in ours}
    judged = [row for row in by_judge.rows if row.id in taught]
    verdicts = {row.id: row.good for row in by_judge.rows}
    rows = [*without_groups_of(train.rows, theirs), *judged]
    result = _run(train, rows, theirs, settings, cache)

    good = np.array([row.good for row in theirs])
    right = (result.scores >= 0.5) == good
    judge_right = np.array([verdicts[row.id] for row in theirs]) == good
    yield {
        **_summary(result),
        "judge_accuracy": round(float(judge_right.mean()), 4),
        "difference": round(float(right.mean() - judge_right.mean()), 4),
        "interval": _paired_bootstrap(right, judge_right, [row.group for row in theirs]),
    }


def in_folds(data: Sequence[Path], settings: TrainSettings, cache: Path) -> Iterator[Record]:
    """Every row scored by an evaluator that saw none of its group."""
    whole = read_rows(data[0], label_source="human")
    left, areas, labels, scores = list(whole.rows), [], [], []
    for fold in range(_FOLDS):
        if fold < _FOLDS - 1:
            left, test = split_rows(left, 1 / (_FOLDS - fold), seed=settings.seed)
        else:
            test = left
        held = {row.id for row in test}
        rest = [row for row in whole.rows if row.id not in held]
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
    """Training rows that share no group with a test row, and test rows."""
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


def _paired_bootstrap(ours: Any, theirs: Any, groups: Sequence[str]) -> list[float]:
    """The 95 % interval of the difference in accuracy, whole groups drawn with replacement."""
    names, group = np.unique(groups, return_inverse=True)
    gain = np.bincount(group, weights=ours.astype(float) - theirs)
    size = np.bincount(group)
    drawn = np.random.default_rng(0).integers(0, len(names), (_RESAMPLES, len(names)))
    differences = gain[drawn].sum(axis=1) / size[drawn].sum(axis=1)
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
