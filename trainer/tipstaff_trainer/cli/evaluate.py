"""`tipstaff evaluate BUNDLE DATA`: how good an evaluator is on labelled rows, as served."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tipstaff.cli import flag_names
from tipstaff.errors import UsageError
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.cli.outcomes import print_outcomes
from tipstaff_trainer.operations.evaluate import EvaluateRequest, evaluate
from tipstaff_trainer.operations.sources import file_source
from tipstaff_trainer.progress import TerminalReporter

if TYPE_CHECKING:
    from tipstaff_trainer.evaluation.base import Metrics
    from tipstaff_trainer.operations.subject import Subject

FLAGS = {"bundle": "BUNDLE", **DATA_FLAGS}
_GROUPS = {
    "named cases": ("cases", "attach"),
    "report": ("out", "slice_by"),
    "cheap metrics to compare with, in the report": ("separator", "correct", "incorrect", "metric"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    grouped = {name for names in _GROUPS.values() for name in names}
    add_options(parser, EvaluateRequest, flags=FLAGS, without=grouped)
    add_data_options(parser, required=False)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for title, names in _GROUPS.items():
        group = parser.add_argument_group(title)
        add_options(group, EvaluateRequest, flags=FLAGS, only=names)


def run(args: argparse.Namespace) -> int:
    """Evaluates, and prints the measures and the named cases that fail.

    Returns:
        0, or 1 when a named case fails.
    """
    data = None if args.data is None else file_data(args)
    request = EvaluateRequest.parse({**given(EvaluateRequest, args), "data": data})
    if args.json and data is None:
        raise UsageError("needs rows to measure on", field="json", remedy="give {data}")
    reporter = TerminalReporter(flag_names(FLAGS))
    rows = None if data is None else file_source(data, reporter)
    evaluation = evaluate(request, rows, reporter)
    # With --json, standard output holds one JSON object and nothing else.
    rest = sys.stderr if args.json else sys.stdout
    if evaluation.metrics is not None and evaluation.subject is not None:
        if args.json:
            print(json.dumps(evaluation.metrics))
        else:
            print("\n".join(_table(evaluation.metrics, evaluation.subject)))
    if evaluation.report is not None:
        print(f"report: {evaluation.report}", file=rest)
    return int(print_outcomes(evaluation.outcomes, rest))


def _table(metrics: Metrics, subject: Subject) -> Iterator[str]:
    from tipstaff_trainer.evaluation.slices import measure

    overall = measure(subject.scored)
    intervals = {"accuracy": overall.accuracy, "roc_auc": overall.auroc}
    for name, value in metrics.items():
        if name == "n":
            beside = f"{overall.good} good, {overall.n - overall.good} bad; 95 % intervals beside"
            yield f"{name:<18} {value:>11,}   {beside}"
            continue
        text = "not defined" if value is None else f"{value:.4f}"
        interval = intervals.get(name)
        beside = f"   {interval.ends('.4f')}" if interval else ""
        yield f"{name:<18} {text:>11}{beside}"
    for name, interval, rows in (
        ("bad rows pass", overall.false_pass, "bad"),
        ("good rows blocked", overall.false_block, "good"),
    ):
        if interval is not None:
            ends = f"{interval.ends('.4f')}, of {interval.n} {rows} rows"
            yield f"{name:<18} {interval.value:>11.4f}   {ends}"
