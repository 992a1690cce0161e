"""Measures how far rewritten outputs fool evaluators trained with and without rewritten rows.

    python benchmarks/probes.py TRAIN [--test TEST] [--rows N] [--shares 0 0.5] [--seeds 0 1 2]

TRAIN and TEST are JSON lines with input, output, ground_truth, label and group. Without TEST, a
fifth of TRAIN's groups is held out. `--rows` trains on so many rows of TRAIN, in whole groups.
Probes are worded as no training row is; every number comes from the int8 bundle in the server's
code.

Prints one JSON object for each share and seed: accuracy and AUROC, the shares of bad and good rows
that pass as they are and under the worst rewritings, and the same for each rewriting.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tipstaff_server.evaluator.quality import ProbeRate
from tipstaff_trainer.data import Row, read_rows, split_rows
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.evaluation.slices import measure
from tipstaff_trainer.operations.subject import load_evaluator
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest, train
from tipstaff_trainer.probes.measure import probe
from tipstaff_trainer.probes.pool import Pool

_HELD_OUT = 0.2


def main() -> None:
    """Trains and probes, and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--sample", type=int, default=300, help="rows of each class to rewrite")
    parser.add_argument("--shares", type=float, nargs="+", help="of rewritten rows in training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    data = read_rows(args.train)
    rows, test = data.rows, None if args.test is None else read_rows(args.test).rows
    if test is None:
        rows, test = split_rows(rows, _HELD_OUT, seed=0)
    for seed in args.seeds:
        some = rows
        if args.rows is not None and args.rows < len(rows):
            _, some = split_rows(rows, args.rows / len(rows), seed=seed)
        for share in args.shares or [None]:
            request = TrainRequest(name="probed", seed=seed, rewritten=share)
            training = TrainingRows(some, data.columns)
            print(json.dumps(run(request, training, test, sample=args.sample)), flush=True)


def run(
    request: TrainRequest, training: TrainingRows, test: Sequence[Row], *, sample: int
) -> dict[str, Any]:
    """Trains once, and measures plain and rewritten test rows."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(request, lambda: training, Path(folder) / "bundle").bundle
        seconds = time.monotonic() - started
        evaluator = load_evaluator(bundle.path)
        overall = measure(ScoredRows.score(evaluator, test))
        probes = probe(evaluator, test, Pool.of(test), sample=sample, seed=0).probes
    settings = bundle.manifest.training.settings
    return {
        "rows": len(training.train),
        "seed": request.seed,
        "rewritten": settings["rewritten"],
        "epochs": settings["epochs"],
        "train_seconds": round(seconds, 1),
        "accuracy": str(overall.accuracy),
        "auroc": str(overall.auroc),
        "bad_passed": str(probes.bad_passed),
        "good_passed": str(probes.good_passed),
        "worst": {
            effect: _in_words(max(rates, key=lambda rate: rate.harm.value))
            for effect in ("breaks", "keeps", "mends")
            if (rates := [rate for rate in probes.rates if rate.effect == effect])
        },
        "rewritings": {rate.name: _in_words(rate) for rate in probes.rates},
    }


def _in_words(rate: ProbeRate) -> str:
    return f"{rate.name}: {rate.after} of {rate.n} pass, harm {rate.harm}"


if __name__ == "__main__":
    main()
