"""`tipstaff relabel DATA --reviewed FILE --out FILE`: a judge's labels, read by people's."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tipstaff_trainer.cli.data_arguments import (
    add_data_arguments,
    check_exists,
    check_free,
    check_rows_file,
    warn,
    write_out,
)
from tipstaff_trainer.cli.second_opinion import (
    add_opinion_arguments,
    evaluator_scores,
    others,
)
from tipstaff_trainer.data import Row, read_rows
from tipstaff_trainer.judge.records import rounded, row_record
from tipstaff_trainer.label_quality.relabelling import (
    Relabelled,
    check_reviewed,
    relabel,
    relabel_by_others,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_arguments(parser)
    parser.add_argument(
        "--reviewed",
        type=Path,
        required=True,
        metavar="FILE",
        help="some of the same rows with people's labels; rows are matched by id",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="a new .jsonl file, to train on"
    )
    add_opinion_arguments(parser, together=False)
    parser.add_argument("--seed", type=int, default=0, help="of the folds (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Reads the labels, writes all rows and says what it is worth."""
    for path in (args.data, args.reviewed):
        check_exists(path)
    check_rows_file(args.out)
    check_free(args.out)
    mapping = dict(args.map)
    data = read_rows(
        args.data,
        columns=args.columns,
        mapping=mapping,
        label_source=args.label_source or "judge",
    )
    people = read_rows(
        args.reviewed, mapping=mapping, label_source="human", selection=args.selection
    )
    warn((*data.warnings, *people.warnings))
    reviewed = {row.id: row for row in people.whole if row.label_source == "human"}
    check_reviewed(data.whole, reviewed)
    if scores := evaluator_scores(data.rows, args):
        found = relabel(data.whole, reviewed, scores, seed=args.seed)
    else:
        found = relabel_by_others(data.whole, reviewed, others(data.rows).say, seed=args.seed)
    write_out(
        args.out,
        (
            json.dumps(_record(before, after), ensure_ascii=False) + "\n"
            for before, after in zip(data.whole, found.rows, strict=True)
        ),
    )
    _report(data.whole, found, args.out)
    known = {row.id for row in data.whole}
    if apart := sum(name not in known for name in reviewed):
        print(
            f"warning: {apart} of the {len(reviewed)} rows that people reviewed have no label of "
            f"the judge's in {args.data}, and are not in {args.out}",
            file=sys.stderr,
        )
    return 0


def _record(before: Row, after: Row) -> dict[str, object]:
    if before.label_source != "judge":
        return row_record(after)
    judged = {"judge_label": rounded(before.label)}
    return row_record(
        after, **judged, **({} if _by_people(after) else {"label_kind": "relabelled"})
    )


def _report(before: tuple[Row, ...], found: Relabelled, out: Path) -> None:
    print(
        f"reviewed: {found.reviewed} of the judge's rows, {found.drawn} of them drawn at random, "
        f"{found.overruled} of those overruled"
    )
    changed = sum(
        old.good != new.good
        for old, new in zip(before, found.rows, strict=True)
        if not _by_people(new)
    )
    print(
        f"relabelled: {sum(not _by_people(row) for row in found.rows)} rows, {changed} changed side"
    )
    print(found.worth)
    if found.note:
        print(f"note: {found.note}", file=sys.stderr)
    if found.warning:
        print(f"warning: {found.warning}", file=sys.stderr)
    print(f"rows: {out}")


def _by_people(row: Row) -> bool:
    return row.label_source == "human"
