"""`tipstaff agreement DATA`: how far a judge agrees with people, or with another judge."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tipstaff_trainer.cli.data_arguments import add_data_arguments, check_exists, read_data, warn
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.records import number_in
from tipstaff_trainer.label_quality.agreement import Agreement, Estimate, agreement

# Rows so chosen were drawn without looking at them.
_BLIND = ("random",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_arguments(parser)
    parser.add_argument(
        "--judge-column",
        default="judge_label",
        metavar="COLUMN",
        help="the column with the judge's label, beside a person's (default: judge_label)",
    )
    parser.add_argument(
        "--with",
        dest="other",
        type=Path,
        metavar="FILE",
        help="compare with the labels of this file instead, row by row by id",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compares the labels and prints κ, and who passes what the other doesn't."""
    check_exists(args.data)
    data = read_data(args.data, args)
    warn(data.warnings)
    if args.other is not None:
        check_exists(args.other)
        other = read_data(args.other, args)
        warn((*other.warnings, *_missing(data, other), *_missing(other, data)))
        others = {row.id: row for row in other.rows}
        pairs = [(row, row.label, others[row.id].label) for row in data.rows if row.id in others]
        names = (str(args.data), str(args.other))
        if not pairs:
            raise DataError(f"{args.other}: none of its rows is in {args.data}, by id")
    else:
        pairs = _beside_people(data.rows, args.judge_column)
        names = ("judge", "people")
        if not pairs:
            raise DataError(
                f"{args.data}: no row has a label by a person and one in column "
                f'"{args.judge_column}"; say --label-source human if all labels are by people'
            )
    by_people = sum(row.label_source == "human" for row in data.rows) if args.other is None else 0
    if by_people > len(pairs):
        print(
            f"warning: {by_people - len(pairs)} of {by_people} rows labelled by people have nothing"
            f' in column "{args.judge_column}", and are not compared',
            file=sys.stderr,
        )
    found = _agreement(pairs)
    blind = [pair for pair in pairs if pair[0].selection in _BLIND]
    drawn = _agreement(blind) if blind and len(blind) < len(pairs) else None
    if args.json:
        print(json.dumps({"all": _json(found), "random": drawn and _json(drawn)}))
        return 0
    print(_table(found, *names))
    picked = sum(row.selection in ("uncertain", "disputed") for row, _, _ in pairs)
    if picked:
        print(
            f"warning: {picked} of {len(pairs)} rows were picked for being doubtful, so agreement "
            "on all rows is better than that",
            file=sys.stderr,
        )
    if drawn is not None:
        print(f"\non the {drawn.n} rows that were drawn at random:\n{_table(drawn, *names)}")
    return 0


def _missing(data: Data, other: Data) -> Iterator[str]:
    ids = {row.id for row in other.rows}
    if missing := sum(row.id not in ids for row in data.rows):
        yield (
            f"{missing} of {len(data.rows)} labelled rows of {data.file} are not among those of "
            f"{other.file}, by id, and are not compared"
        )


def _beside_people(rows: Sequence[Row], column: str) -> list[tuple[Row, float, float]]:
    pairs = []
    for row in rows:
        try:
            judged = number_in(row.extra, column)
        except ValueError as error:
            raise DataError(f'{row.place}, column "{column}": {error}') from None
        if judged is not None and row.label_source == "human":
            pairs.append((row, judged, row.label))
    return pairs


def _agreement(pairs: Sequence[tuple[Row, float, float]]) -> Agreement:
    return agreement(
        [judged for _, judged, _ in pairs],
        [label for _, _, label in pairs],
        [row.group for row, _, _ in pairs],
    )


def _table(found: Agreement, judge: str, other: str) -> str:
    lines = (
        ("rows", f"{found.n:,}"),
        ("kappa", _shown(found.kappa)),
        ("agreed", _shown(found.agreed)),
        (f"{judge} passes what {other} {_verb(other)} not", _shown(found.false_pass)),
        (f"{judge} fails what {other} {_verb(other)}", _shown(found.false_block)),
        ("both good, both bad", f"{found.both_good:,}, {found.both_bad:,}"),
        (f"only {judge} good", f"{found.judge_only:,}"),
        (f"only {other} good", f"{found.other_only:,}"),
    )
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _verb(other: str) -> str:
    return "do" if other == "people" else "does"


def _shown(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "not defined"
    if math.isnan(estimate.low):
        return f"{estimate.value:.3f} (all rows are of one group: no interval)"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _json(found: Agreement) -> dict[str, Any]:
    """JSON has no NaN."""
    return {
        name: value
        if isinstance(value, int)
        else {end: None if math.isnan(number) else number for end, number in value.items()}
        for name, value in asdict(found).items()
    }
