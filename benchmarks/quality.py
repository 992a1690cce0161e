"""Trains on evouna-nq and measures the int8 bundle on its test file, as served.

    python benchmarks/quality.py DATA_DIR [--out DIR] [--seed N]

DATA_DIR holds `train.jsonl` and `test.jsonl`, the Natural Questions part of EVOUNA (Wang et al.
2023) as JSON lines with input, output, ground_truth, label and group. The last line printed is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import time
from pathlib import Path

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.manifest import MANIFEST_FILE
from tipstaff_trainer.data import Row, read_rows, without_groups_of
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.measure import rulings
from tipstaff_trainer.pipeline import train_evaluator
from tipstaff_trainer.report.metrics import classification_metrics


def main() -> None:
    """Trains, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/quality"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, help="as `tipstaff train` takes it")
    args = parser.parse_args()
    if (args.out / MANIFEST_FILE).exists():
        parser.error(f"{args.out} holds a bundle already: remove it, or choose another --out")
    logging.basicConfig(level=logging.WARNING)

    train = read_rows(args.data_dir / "train.jsonl", label_source="human")
    test = read_rows(args.data_dir / "test.jsonl", label_source="human")
    started = time.monotonic()
    bundle = train_evaluator(
        without_groups_of(train.rows, test.rows),
        name="answer-correctness",
        out=args.out,
        fields=train.columns,
        settings=TrainSettings(seed=args.seed, epochs=args.epochs),
        criterion="The answer is correct, given the reference answers.",
    )
    seconds = time.monotonic() - started

    evaluator = Evaluator.load(bundle.path)
    labels = [row.label for row in test.rows]
    scores = [ruling.score for ruling in rulings(evaluator, [row.interaction for row in test.rows])]
    parity = evaluator.graph.parity
    substring = classification_metrics(labels, [contains_reference(row) for row in test.rows])
    print(
        json.dumps(
            {
                **classification_metrics(labels, scores),
                "substring_accuracy": substring["accuracy"],
                "changed_decisions": parity.changed if parity else None,
                "engine": evaluator.engine,
                "train_rows": bundle.manifest.training.rows,
                "train_and_export_seconds": round(seconds),
                "seed": args.seed,
            }
        )
    )


def contains_reference(row: Row) -> float:
    """1 when the answer contains one of the `/`-separated references, without case and signs."""
    answer = _plain(row.interaction.output)
    references = (row.interaction.ground_truth or "").split("/")
    return float(any(_plain(reference) in answer for reference in references if _plain(reference)))


def _plain(text: str | None) -> str:
    return " ".join(re.findall(r"\w+", (text or "").lower()))


if __name__ == "__main__":
    main()
