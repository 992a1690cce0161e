"""Draws learning curves: AUROC on held-out training rows by number of rows and by settings.

    python benchmarks/learning_curves.py DATA --rows 256 1000 4000 all --seeds 0 1 2
    python benchmarks/learning_curves.py DATA --rows 1000 --vary learning_rate=1e-4 --vary marks=off

A fifth of DATA's groups is held out: the same groups for every seed, never trained on. Each seed
draws its rows from the rest. Defaults are chosen on the held-out rows, so a test file is read only
at the end. Each `--vary` adds a curve with other settings of `tipstaff train`, separated by commas.
Results are cached in `--cache` (`experiments.py`). Prints one JSON object per training, then a
table; `--plot FILE` draws it.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from experiments import Experiment, Result, run

from tipstaff_trainer.data import Row, read_rows, split_rows
from tipstaff_trainer.distil.settings import TrainSettings

Curves = Mapping[str, Mapping[int, Sequence[Result]]]

_HELD_OUT = 0.2


def main() -> None:
    """Trains what isn't cached yet, and prints all results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", nargs="+", default=["256", "1000", "4000", "all"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--vary", action="append", default=[], metavar="NAME=VALUE[,…]")
    parser.add_argument("--cache", type=Path, default=Path("build/quality"))
    parser.add_argument("--plot", type=Path, metavar="PNG")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)

    data = read_rows(args.data, label_source="human")
    rest, held_out = split_rows(data.rows, _HELD_OUT, seed=0)
    curves: dict[str, dict[int, list[Result]]] = {}
    for varied in ["", *args.vary]:
        for rows in args.rows:
            for seed in args.seeds:
                settings = TrainSettings.model_validate(_settings(varied) | {"seed": seed})
                drawn = _draw(rest, rows, seed)
                result = run(Experiment(drawn, held_out, data.columns, settings), args.cache)
                record = {"settings": varied or "default", "rows": len(drawn), "seed": seed}
                print(json.dumps(record | result.metrics | {"seconds": result.seconds}), flush=True)
                point = curves.setdefault(varied or "default", {})
                point.setdefault(len(rest) if rows == "all" else int(rows), []).append(result)
    print("\n".join(_table(curves)))
    if args.plot:
        _draw_curves(curves, args.plot)


def _settings(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if part)


def _draw(rows: Sequence[Row], count: str, seed: int) -> Sequence[Row]:
    if count == "all" or int(count) >= len(rows):
        return rows
    return split_rows(rows, int(count) / len(rows), seed=seed)[1]


def _table(curves: Curves) -> list[str]:
    sizes = sorted({size for points in curves.values() for size in points})
    lines = [f"| AUROC | {' | '.join(map(str, sizes))} |", "| --- |" + " --- |" * len(sizes)]
    for name, points in curves.items():
        cells = [_cell([_area(result) for result in points.get(size, [])]) for size in sizes]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cell(areas: Sequence[float]) -> str:
    if not areas:
        return "–"
    return f"{np.mean(areas):.4f} ({min(areas):.3f} to {max(areas):.3f})"


def _area(result: Result) -> float:
    return float(result.metrics["roc_auc"] or np.nan)


def _draw_curves(curves: Curves, file: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, points in curves.items():
        sizes = sorted(points)
        areas = [[_area(result) for result in points[size]] for size in sizes]
        axes.plot(sizes, [np.mean(each) for each in areas], marker="o", label=name)
        low, high = [min(each) for each in areas], [max(each) for each in areas]
        axes.fill_between(sizes, low, high, alpha=0.2)
    axes.set_xscale("log")
    axes.set_xlabel("labelled rows")
    axes.set_ylabel("AUROC on held-out rows")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
