"""Measures how much AUROC smaller evaluators lose and how much latency they save.

    python benchmarks/sizes.py DATA --out FOLDER [--sizes 4 3 2] [--rows 4000] [--plot FILE.png]

A fifth of DATA's groups is held out. The full evaluator trains on `--rows` of the other rows. It
then teaches each smaller one on these rows, and on the remaining rows without labels unless
`--labelled-only` is given. All are int8 bundles that run in the server's code. Times are for one
request at a time on one thread, without encoding; the evaluators take turns. Bundles stay in FOLDER
and are not trained again. Prints one JSON object per size, then a table.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import Row, read_rows, split_rows
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.evaluation.intervals import auroc_difference
from tipstaff_trainer.evaluation.latency import measure_latency
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest, train

_HELD_OUT = 0.2
_TOKENS = 64


def main() -> None:
    """Trains the evaluators that aren't in the folder, measures all and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 3, 2])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labelled-only", action="store_true")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)

    data = read_rows(args.data, label_source="human")
    rest, held_out = split_rows(data.rows, _HELD_OUT, seed=args.seed)
    if args.rows < len(rest):
        more, rows = split_rows(rest, args.rows / len(rest), seed=args.seed)
    else:
        more, rows = [], rest
    unlabelled = [] if args.labelled_only else [replace(row, label=math.nan) for row in more]
    full = args.out / "full"
    settings = TrainSettings(seed=args.seed)
    _train(TrainingRows(rows, data.columns), full, settings)
    bundles: dict[str, Path] = {"full": full}
    for size in sorted(args.sizes, reverse=True):
        bundles[str(size)] = args.out / str(size)
        _train(
            TrainingRows(rows, data.columns, unlabelled=unlabelled),
            bundles[str(size)],
            settings.model_copy(update={"size": size}),
            teacher=full,
        )
    records = _measure(bundles, held_out)
    for record in records:
        print(json.dumps(record, default=BaseModel.model_dump), flush=True)
    print("\n".join(_table(records)))
    if args.plot:
        _draw(records, args.plot)


def _train(rows: TrainingRows, out: Path, settings: TrainSettings, **more: Any) -> None:
    if not (out / "manifest.json").exists():
        request = TrainRequest(name="sizes", golden=0, **settings.model_dump(), **more)
        train(request, lambda: rows, out)


def _measure(bundles: dict[str, Path], rows: Sequence[Row]) -> list[dict[str, Any]]:
    evaluators = {name: Evaluator.load(path) for name, path in bundles.items()}
    good = np.array([row.good for row in rows])
    _, group = np.unique([row.group or row.id for row in rows], return_inverse=True)
    scores = {
        name: np.array([one.score for one in predict_all(each, [row.interaction for row in rows])])
        for name, each in evaluators.items()
    }
    times = [
        next(point.median_ms for point in points if point.tokens >= _TOKENS)
        for points in measure_latency(*evaluators.values())
    ]
    return [
        {
            "size": name,
            "rows": len(rows),
            **{
                metric: round(float(value), 4)
                for metric, value in classification_metrics(good, scores[name]).items()
                if metric in ("accuracy", "roc_auc", "ece") and value is not None
            },
            "auroc_gained": auroc_difference(good, scores["full"], scores[name], group),
            "median_ms": milliseconds,
            "of_full_time": round(milliseconds / times[0], 3),
        }
        for name, milliseconds in zip(bundles, times, strict=True)
    ]


def _table(records: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        f"| layers | AUROC | less the full one's | accuracy | ms at {_TOKENS} tokens | of full |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        lines.append(
            f"| {record['size']} | {record['roc_auc']:.4f} | {record['auroc_gained']} "
            f"| {record['accuracy']:.3f} | {record['median_ms']:.2f} "
            f"| {record['of_full_time']:.2f} |"
        )
    return lines


def _draw(records: Sequence[dict[str, Any]], file: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    times = [record["median_ms"] for record in records]
    areas = [record["roc_auc"] for record in records]
    gained = [record["auroc_gained"] for record in records]
    # Error bars are of the difference from the full evaluator, so that one has none.
    bars = [[one.value - one.low for one in gained], [one.high - one.value for one in gained]]
    axes.errorbar(times, areas, yerr=bars, marker="o", capsize=3)
    for record, x, y in zip(records, times, areas, strict=True):
        axes.annotate(record["size"], (x, y), xytext=(6, 6), textcoords="offset points")
    axes.set_xlim(0, 1.15 * max(times))
    axes.set_xlabel(f"ms a request of {_TOKENS} tokens, one thread")
    axes.set_ylabel("AUROC on held-out rows")
    axes.set_title("Bars: 95 % intervals of the difference from full", fontsize="medium")
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
