"""`tipstaff label-errors DATA --out FILE`: labels that the other rows contradict, for a person."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_trainer.cli.data_arguments import (
    add_data_arguments,
    check_exists,
    check_folder_of,
    check_free,
    read_data,
    warn,
    write_out,
)

if TYPE_CHECKING:
    from tipstaff_trainer.label_quality.label_errors import Suspect

_SUFFIXES = (".csv", ".jsonl")
_SHOWN = 5
_SHOWN_LETTERS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_arguments(parser)
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="where the list goes, the most suspicious first: .csv or .jsonl",
    )
    parser.add_argument(
        "--folds",
        type=_folds,
        default=5,
        metavar="N",
        help="parts to look at in turn; give fewer where a class is in few groups (default: 5)",
    )
    parser.add_argument(
        "--base",
        default="all-MiniLM-L6-v2",
        help="encoder that reads the texts (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Lists likely label errors; changes nothing in the data."""
    check_exists(args.data)
    if args.out.suffix not in _SUFFIXES:
        raise UsageError(f"--out {args.out}: give a name that ends in {' or '.join(_SUFFIXES)}")
    check_folder_of(args.out)
    check_free(args.out)
    data = read_data(args.data, args)
    warn(data.warnings)

    # Only now, since torch takes seconds to import.
    from tipstaff_trainer.encoders.base import find_base
    from tipstaff_trainer.label_quality.label_errors import label_errors

    found = label_errors(data.rows, find_base(args.base), folds=args.folds)
    likely = [suspect for suspect in found if suspect.likely]
    write_out(args.out, _lines(likely, args.out.suffix))
    _report(likely, found, args.out)
    return 0


def _folds(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 2 on")
    return int(text)


def _lines(suspects: Sequence[Suspect], suffix: str) -> Iterable[str]:
    records = [
        {
            "id": suspect.row.id,
            **{name: suspect.row.interaction.get(name) for name in FIELDS},
            "label": suspect.row.label,
            "label_source": suspect.row.label_source,
            "group": suspect.row.group,
            "out_of_fold": round(suspect.probability, 4),
            "place": suspect.row.place,
        }
        for suspect in suspects
    ]
    if suffix == ".jsonl":
        return [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    names = ["id", *FIELDS, "label", "label_source", "group", "out_of_fold", "place"]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, names)
    writer.writeheader()
    writer.writerows(records)
    return [table.getvalue()]


def _report(likely: Sequence[Suspect], found: Sequence[Suspect], file: Path) -> None:
    print(f"{len(likely)} of {len(found)} labels are likely wrong, by the other rows: {file}")
    for suspect in likely[:_SHOWN]:
        text = " ".join((suspect.row.interaction.output or "").split())
        shown = text if len(text) <= _SHOWN_LETTERS else text[: _SHOWN_LETTERS - 1] + "…"
        print(
            f"  {suspect.row.place or suspect.row.id}: labelled {suspect.row.label:g}, the others "
            f"say {suspect.probability:.2f}: {shown}"
        )
    if likely:
        from sklearn.metrics import roc_auc_score

        good = [each.row.good for each in found]
        area = roc_auc_score(good, [each.probability for each in found])
        print(
            f"Look at them: the others tell good from bad with an AUROC of {area:.2f}, and what is "
            "rare looks like an error, too, so many of these labels may be right. Nothing was "
            "changed."
        )
