"""`tipstaff compare FIRST SECOND DATA`: is the second good enough to replace the first?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.operations.compare import CompareRequest, compare
from tipstaff_trainer.operations.sources import file_source
from tipstaff_trainer.progress import TerminalReporter

if TYPE_CHECKING:
    from tipstaff_server.evaluator.quality import Interval
    from tipstaff_trainer.evaluation.comparison import Comparison

FLAGS = {"first": "FIRST", "second": "SECOND", **DATA_FLAGS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_options(parser, CompareRequest, flags=FLAGS)
    add_data_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Compares, and prints what changed.

    Returns:
        0, or 1 when the second is a regression: significantly worse, lets more bad rows
            pass or stops more good ones, or a named case is lost.
    """
    data = file_data(args)
    request = CompareRequest.parse({**given(CompareRequest, args), "data": data})
    reporter = TerminalReporter(flag_names(FLAGS))
    result = compare(request, file_source(data, reporter), reporter)
    comparison = result.comparison
    print(comparison.model_dump_json() if args.json else "\n".join(_lines(comparison)))
    if result.report:
        print(f"report: {result.report}", file=sys.stderr if args.json else sys.stdout)
    return 1 if comparison.regressions else 0


def _lines(comparison: Comparison) -> Iterator[str]:
    from tipstaff_trainer.report.comparison_page import headline

    yield f"{'':<14} {'first':>8} {'second':>8}   difference, 95 % interval"
    first, second = comparison.first, comparison.second
    for name, key, difference in (
        ("accuracy", "accuracy", comparison.accuracy_difference),
        ("AUROC", "roc_auc", comparison.auroc_difference),
        ("log loss", "log_loss", None),
        ("ECE", "ece", None),
    ):
        values = f"{_number(first.metrics[key])} {_number(second.metrics[key])}"
        yield f"{name:<14} {values}   {_signed(difference)}".rstrip()
    for name, key in (("bad rows pass", "false_pass"), ("good blocked", "false_block")):
        shares = (getattr(part.overall, key) for part in (first, second))
        yield f"{name:<14} {' '.join(_number(share and share.value) for share in shares)}"
    yield (
        f"{len(comparison.better)} rows better, {len(comparison.worse)} worse at 0.5 (McNemar's "
        f"exact test by groups: p = {comparison.p:.2g}); Cohen's kappa of the two "
        f"{_number(comparison.kappa).strip()}"
    )
    rows = comparison.changed_verdicts
    yield (
        f"bad rows: {len(rows.bad_now_pass)} now pass, {len(rows.bad_no_longer_pass)} no longer; "
        f"good rows: {len(rows.good_now_blocked)} are now blocked, "
        f"{len(rows.good_no_longer_blocked)} no longer"
    )
    if comparison.cases:
        won, lost = len(comparison.won), len(comparison.lost)
        yield f"named cases: {won} won, {lost} lost of {comparison.cases}"
    yield from [f"regression: {why}" for why in comparison.regressions] or [headline(comparison)]


def _number(value: float | None) -> str:
    return f"{'–':>8}" if value is None else f"{value:8.4f}"


def _signed(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
