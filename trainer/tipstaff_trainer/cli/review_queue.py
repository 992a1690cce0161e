"""`tipstaff review-queue DATA`: the rows of a judge that a person should see first."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from pathlib import Path

from tipstaff_trainer.cli.data_arguments import (
    add_data_arguments,
    check_exists,
    check_free,
    check_rows_file,
    read_data,
    warn,
    write_out,
)
from tipstaff_trainer.cli.second_opinion import (
    add_opinion_arguments,
    evaluator_scores,
    number,
    others,
)
from tipstaff_trainer.data import read_rows
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.records import rounded, row_record
from tipstaff_trainer.label_quality.review_queue import RANKINGS, review_queue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_arguments(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a new .jsonl file; else the screen"
    )
    parser.add_argument(
        "--count", type=_count, default=200, metavar="N", help="rows in the queue (default: 200)"
    )
    parser.add_argument(
        "--random-share",
        type=_share,
        default=0.2,
        metavar="SHARE",
        help="share drawn at random, for honest estimates (default: 0.2)",
    )
    parser.add_argument(
        "--rank-by",
        choices=RANKINGS,
        default="error",
        help="the order of the rest: likely label error, the judge's own uncertainty, or "
        "disagreement between judges and evaluator (default: error)",
    )
    parser.add_argument(
        "--judge",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="the same rows as another judge labelled them; may be repeated",
    )
    add_opinion_arguments(parser, together=True)
    parser.add_argument("--seed", type=int, default=0, help="of the random slice (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Ranks the rows and writes the queue."""
    for path in (args.data, *args.judge):
        check_exists(path)
    if args.out is not None:
        check_rows_file(args.out)
        # What is in it may have been reviewed since.
        check_free(args.out)
    data = read_data(args.data, args)
    warn(data.warnings)
    scores = evaluator_scores(data.rows, args)
    judges = [_labels(path, args) for path in args.judge]
    for path, labels in zip(args.judge, judges, strict=True):
        if not any(row.id in labels for row in data.rows):
            raise DataError(f"{path}: none of its rows is in {args.data}; rows are matched by id")
    queue = review_queue(
        data.whole,
        count=args.count,
        random_share=args.random_share,
        rank_by=args.rank_by,
        judges=judges,
        scores=scores,
        out_of_fold=others(data.rows).say() if args.out_of_fold else None,
        seed=args.seed,
    )
    if not queue:
        raise DataError(f"{args.data}: no row is left to review; people have labelled them all")
    lines = [
        json.dumps(
            row_record(
                each.row,
                selection=each.selection,
                priority=rounded(each.priority),
                why=each.why,
            ),
            ensure_ascii=False,
        )
        for each in queue
    ]
    if args.out is None:
        print("\n".join(lines))
        return 0
    write_out(args.out, (line + "\n" for line in lines))
    counts = Counter(each.selection for each in queue)
    shown = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    print(f"queue: {len(queue)} of {len(data.rows)} rows ({shown})")
    print(f"rows: {args.out}")
    print("next: correct label, set label_source to human, and train on both files together; a")
    print("      person's label of an id outranks the judge's")
    return 0


def _labels(path: Path, args: argparse.Namespace) -> dict[str, float]:
    """The judge's label of each row: `judge_label` where people have had a say since."""
    labels = {}
    for row in read_rows(path, mapping=dict(args.map)).whole:
        own = number(row, "judge_label") if row.label_source == "human" else float("nan")
        labels[row.id] = row.label if math.isnan(own) else own
    return labels


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1")
    return share
