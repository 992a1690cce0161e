"""Measures what a start from a general evaluator is worth where rows are few.

    python benchmarks/few_rows.py rows.jsonl --set begin --from foundation/without-begin
    python benchmarks/few_rows.py DATA_DIR/train.jsonl --test DATA_DIR/test.jsonl --from BUNDLE

The file is any of labelled rows, or what `examples/foundation/prepare.py` wrote, of which `--set`
takes one set: its groups are of rows with the same passage, which a set itself may not name.

Each draw takes so many rows of the file, by whole groups, and trains on them twice with the default
settings: from the base encoder, and from BUNDLE. Both are measured, as served, on the same rows:
those of `--test`, else all rows of the file that share no group with the draw, at most
`--test-rows`. Sizes of which the file has too few are named and left out. BUNDLE must have seen
none of the rows; a bundle of `examples/foundation/train.py --leave-out` hasn't.

Finished trainings are appended to `--results`, one JSON object a line, and not repeated. Prints one
JSON object: for each size, each arm's AUROC by draw, mean and worst, and the mean difference
(started minus unstarted) with a 95 % interval by Student's t over the draws. Draws of one file
overlap, above all at 1,000 of 1,229 rows, so that such intervals are too narrow.

How long it takes: about an hour for five draws of all sizes where rows are short, as in fm2, on two
idle cores, and some three hours for begin. That is an estimate: 64 rows of fm2 took 100 s of
processor time a training, on a busy machine, and 1,000 short rows take two to three minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_trainer.data import Data, Row, fingerprint, hold_out, read_rows, split_rows
from tipstaff_trainer.evaluation.notices import trained_on
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest, train

Record = dict[str, Any]

ARMS = ("unstarted", "started")
# A test part of fewer rows can't tell the arms apart.
_FEWEST_TEST_ROWS = 150


@dataclass(frozen=True, slots=True)
class Draw:
    """Rows to train on, and rows to measure on.

    Attributes:
        size: The number of rows that was asked for.
        seed: The draw's number.
        train: About `size` rows, in whole groups.
        test: Rows of other groups.
    """

    size: int
    seed: int
    train: Sequence[Row]
    test: Sequence[Row]


def main() -> None:
    """Trains what isn't in the results yet, and prints a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="labelled rows")
    parser.add_argument("--set", default="", metavar="NAME", help="only rows with this in `set`")
    parser.add_argument("--test", type=Path, metavar="FILE", help="rows to measure on")
    parser.add_argument("--from", dest="start", type=Path, required=True, metavar="BUNDLE")
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256, 1000])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--test-rows", type=int, default=1000, help="most rows to measure on")
    parser.add_argument("--results", type=Path, default=Path("build/few_rows.jsonl"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)

    data = read_rows(args.data, label_source="human")
    if args.set:
        data = of_set(data, args.set)
    test = None if args.test is None else read_rows(args.test, label_source="human")
    check_unseen([*data.rows, *(test.rows if test else ())], args.start)
    draws = list(draw_all(data, test, args.rows, args.draws, args.test_rows))
    done = read_results(args.results)
    for draw in draws:
        for arm in ARMS:
            start = args.start if arm == "started" else None
            key = key_of(draw, start)
            if key in done:
                continue
            done[key] = {"key": key, "arm": arm, **measure(draw, data, start)}
            append(args.results, done[key])
            print(json.dumps(done[key]), file=sys.stderr, flush=True)
    summary = {
        "data": args.data.name,
        "set": args.set,
        "from": Bundle.open(args.start).manifest.name,
    }
    print(json.dumps(summary | {"sizes": summarise(draws, done, args.start)}))


def of_set(data: Data, name: str) -> Data:
    """The rows of one set, and the fields that they have."""
    rows = [row for row in data.rows if row.extra.get("set") == name]
    if not rows:
        sys.exit(f"{data.file}: has no rows of {name}")
    columns = tuple(each for each in data.columns if any(row.interaction.get(each) for row in rows))
    whole = tuple(row for row in data.whole if row.extra.get("set") == name)
    return replace(data, rows=rows, columns=columns, whole=whole)


def draw_all(
    data: Data, test: Data | None, sizes: Sequence[int], draws: int, most: int
) -> Iterator[Draw]:
    """Every draw of every size; names sizes that leave too few rows to measure on.

    Args:
        data: The rows to draw from.
        test: The rows to measure on; None for the rest of `data`.
        sizes: How many rows to draw.
        draws: How many draws of each size.
        most: The most rows to measure on.
    """
    rows, held_out = (data.rows, None) if test is None else hold_out(data, test)[:2]
    for size in sizes:
        left = len(rows) - size if held_out is None else len(held_out)
        if size >= len(rows) or left < _FEWEST_TEST_ROWS:
            print(f"{data.file}: has too few rows for draws of {size}", file=sys.stderr)
            continue
        for seed in range(draws):
            rest, drawn = split_rows(rows, size / len(rows), seed=seed)
            others = rest if held_out is None else held_out
            if len(others) > most:
                others = split_rows(others, most / len(others), seed=seed)[1]
            yield Draw(size, seed, drawn, others)


def check_unseen(rows: Sequence[Row], start: Path) -> None:
    """Ends the script if the evaluator to start from was trained on rows that measure it."""
    seen = trained_on(rows, Bundle.open(start))
    if seen is None:
        print(f"{start}: doesn't know its training rows; has it seen these?", file=sys.stderr)
    elif count := int(seen.any(axis=1).sum()):
        sys.exit(
            f"{start}: was trained on {count} of these {len(rows)} rows, or on rows of their "
            "groups: train one without them, as examples/foundation/train.py --leave-out does"
        )


def measure(draw: Draw, data: Data, start: Path | None) -> Record:
    """Trains on a draw, and measures as served."""
    request = TrainRequest(name="few-rows", golden=0, seed=draw.seed, start_from=start)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        train(request, lambda: TrainingRows(draw.train, data.columns), out)
        seconds = time.monotonic() - began
        scored = predict_all(Evaluator.load(out), [row.interaction for row in draw.test])
    good = [row.good for row in draw.test]
    return {
        "size": draw.size,
        "draw": draw.seed,
        "train_rows": len(draw.train),
        "test_rows": len(draw.test),
        "auroc": round(float(roc_auc_score(good, [each.score for each in scored])), 4),
        "seconds": round(seconds, 1),
    }


def key_of(draw: Draw, start: Path | None) -> str:
    """The first 16 hex digits of a hash of what a training reads and of what it's measured on."""
    origin = None if start is None else Bundle.open(start).manifest.model_dump_json()
    settings = TrainRequest(name="few-rows", seed=draw.seed).model_dump_json()
    parts = [fingerprint(draw.train), fingerprint(draw.test), origin, settings]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def read_results(file: Path) -> dict[str, Record]:
    """The finished trainings by key; a line that an interruption cut is not one."""
    results = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            record = json.loads(line)
            results[str(record["key"])] = record
        except (ValueError, KeyError, TypeError):
            continue
    return results


def append(file: Path, record: Record) -> None:
    """Adds a finished training; after a line that an interruption cut, on a line of its own."""
    file.parent.mkdir(parents=True, exist_ok=True)
    cut = file.exists() and not file.read_bytes().endswith(b"\n")
    with file.open("a", encoding="utf-8") as stream:
        stream.write(("\n" if cut else "") + json.dumps(record) + "\n")


def summarise(draws: Sequence[Draw], done: dict[str, Record], start: Path) -> list[Record]:
    """For each size, both arms and their paired difference."""
    summaries = []
    for size in dict.fromkeys(draw.size for draw in draws):
        own = [draw for draw in draws if draw.size == size]
        areas = {
            arm: [done[key_of(draw, origin)]["auroc"] for draw in own]
            for arm, origin in zip(ARMS, (None, start), strict=True)
        }
        summaries.append(
            {
                "rows": size,
                **{arm: _arm(values) for arm, values in areas.items()},
                "difference": paired(areas["unstarted"], areas["started"]),
            }
        )
    return summaries


def paired(before: Sequence[float], after: Sequence[float]) -> Record:
    """The mean difference with its 95 % interval over pairs; no interval for one pair."""
    differences = np.array(after) - np.array(before)
    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return {"mean": round(mean, 4), "low": None, "high": None}
    half = float(t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def _arm(areas: Sequence[float]) -> Record:
    return {"auroc": areas, "mean": round(float(np.mean(areas)), 4), "worst": min(areas)}


if __name__ == "__main__":
    main()
