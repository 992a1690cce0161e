"""`tipstaff agreement DATA`: how far a judge agrees with people, or with another judge."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from typing import Any

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.label_quality.agreement import Agreement, Estimate
from tipstaff_trainer.operations.agreement import AgreementRequest, agreement
from tipstaff_trainer.operations.sources import read_file
from tipstaff_trainer.progress import TerminalReporter

FLAGS = {"other": "--with", **DATA_FLAGS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_data_options(parser)
    add_options(parser, AgreementRequest, flags=FLAGS)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compares the labels, and prints κ and how many rows only one of the two passes."""
    source = file_data(args)
    request = AgreementRequest.parse({**given(AgreementRequest, args), "data": source})
    reporter = TerminalReporter(flag_names(FLAGS))
    data = read_file(source, reporter=reporter)
    other = None
    if request.other is not None:
        other = read_file(source.model_copy(update={"data": request.other}), reporter=reporter)
    result = agreement(request, data, other, reporter)
    if args.json:
        parts = {"all": result.all, "random": result.random}
        print(json.dumps({name: part and _json(part) for name, part in parts.items()}))
        return 0
    print(_table(result.all, result.judge, result.other))
    if result.random is not None:
        print(f"\non the {result.random.n} rows that were drawn at random:")
        print(_table(result.random, result.judge, result.other))
    return 0


def _table(measured: Agreement, judge: str, other: str) -> str:
    verb = "do" if other == "people" else "does"
    lines = (
        ("rows", f"{measured.n:,}"),
        ("kappa", _text(measured.kappa)),
        ("agreed", _text(measured.agreed)),
        (f"{judge} passes what {other} {verb} not", _text(measured.false_pass)),
        (f"{judge} fails what {other} {verb}", _text(measured.false_block)),
        ("both good, both bad", f"{measured.both_good:,}, {measured.both_bad:,}"),
        (f"only {judge} good", f"{measured.judge_only:,}"),
        (f"only {other} good", f"{measured.other_only:,}"),
    )
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)


def _text(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "not defined"
    if math.isnan(estimate.low):
        return f"{estimate.value:.3f} (all rows are of one group: no interval)"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _json(measured: Agreement) -> dict[str, Any]:
    """Measures as JSON, which has no NaN."""
    return {
        name: value
        if isinstance(value, int)
        else {end: None if math.isnan(number) else number for end, number in value.items()}
        for name, value in asdict(measured).items()
    }
