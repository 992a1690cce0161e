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

# Of a column of values with their intervals.
_WIDTH = 24

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
    from tipstaff_trainer.evaluation.headline import headline

    first, second = comparison.first, comparison.second
    good = first.overall.good
    yield (
        f"{comparison.n} rows of {comparison.data} ({good} good, {comparison.n - good} bad); "
        "95 % intervals in brackets"
    )
    yield f"{'':<14} {'first':<{_WIDTH}} {'second':<{_WIDTH}} difference"
    for name, key, difference in (
        ("accuracy", "accuracy", comparison.accuracy_difference),
        ("AUROC", "auroc", comparison.auroc_difference),
        ("bad rows pass", "false_pass", None),
        ("good blocked", "false_block", None),
    ):
        one, other = (str(getattr(part.overall, key) or "–") for part in (first, second))
        yield _line(name, one, other, _signed(difference))
    for name, key in (("log loss", "log_loss"), ("ECE", "ece")):
        yield _line(name, _number(first.metrics[key]), _number(second.metrics[key]))
    yield (
        f"{len(comparison.better)} rows better, {len(comparison.worse)} worse at 0.5 (McNemar's "
        f"exact test by groups: p = {comparison.p:.2g}); Cohen's kappa of the two "
        f"{_number(comparison.kappa)}"
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
    yield from [f"regression: {why}" for why in comparison.regressions] or [
        str(headline(comparison))
    ]


def _line(name: str, first: str, second: str, difference: str = "") -> str:
    return f"{name:<14} {first:<{_WIDTH}} {second:<{_WIDTH}} {difference}".rstrip()


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _signed(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
