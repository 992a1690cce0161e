"""Measures whether `tipstaff label-errors` finds labels that are known to be wrong.

    python benchmarks/label_errors.py ROWS [--groups 200] [--flip 0.05 0.1 0.2] [--draws 5]

Takes some groups of ROWS, treats their labels as correct, flips a share of the labels at random and
searches for the flipped ones. Prints one JSON object per share: the share of listed labels that
were flipped (precision), the share of flipped labels that are listed (recall), and the share of
flipped labels among the first N, where N is the number of flipped labels.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from tipstaff_trainer.data import read_rows
from tipstaff_trainer.encoders.base import DEFAULT_BASE, find_base
from tipstaff_trainer.label_quality.label_errors import (
    features,
    likely_errors,
    out_of_fold,
    self_confidence,
)


def main() -> None:
    """Flips labels, searches for them and prints how many were found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--flip", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    generator = np.random.default_rng(args.seed)

    rows = read_rows(args.rows).rows
    names = sorted({row.group for row in rows})
    sample = set(generator.choice(names, min(args.groups, len(names)), replace=False))
    rows = [row for row in rows if row.group in sample]
    matrix = features([row.interaction for row in rows], find_base(DEFAULT_BASE))
    for share in args.flip:
        results = []
        for draw in range(args.draws):
            is_flipped = generator.random(len(rows)) < share
            noisy = [
                replace(row, label=1 - row.label) if flip else row
                for row, flip in zip(rows, is_flipped, strict=True)
            ]
            labels = np.array([row.label for row in noisy], dtype=float)
            probabilities = out_of_fold(matrix, noisy, folds=5, seed=draw)
            is_listed = likely_errors(labels, probabilities)
            first = np.argsort(self_confidence(labels, probabilities))[: is_flipped.sum()]
            results.append(
                (
                    is_listed.mean(),
                    is_flipped[is_listed].mean(),
                    is_listed[is_flipped].mean(),
                    is_flipped[first].mean(),
                )
            )
        names = ("listed", "precision", "recall", "of_the_first")
        means = np.mean(results, axis=0).round(3).tolist()
        numbers = dict(zip(names, means, strict=True))
        print(json.dumps({"rows": len(rows), "flipped": share, **numbers}), flush=True)


if __name__ == "__main__":
    main()
