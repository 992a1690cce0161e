"""`tipstaff evaluate BUNDLE DATA`: how good an evaluator is on labelled rows, as served."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_trainer.cli.data_arguments import (
    absent_fields,
    add_data_arguments,
    check_exists,
    read_data,
    training_rows,
    warn,
)

if TYPE_CHECKING:
    from tipstaff_server.evaluator import Evaluator
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.cases import Outcome
    from tipstaff_trainer.data import Data
    from tipstaff_trainer.evaluation.metrics import Metrics
    from tipstaff_trainer.evaluation.scored import Floats, ScoredRows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    add_data_arguments(parser, optional=True)
    parser.add_argument("--precision", choices=get_args(Precision), help="which of its graphs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    group = parser.add_argument_group("named cases")
    group.add_argument(
        "--cases",
        type=Path,
        metavar="FILE",
        help="YAML of named cases to run (default: those in the bundle); exits with 1 if one fails",
    )
    group.add_argument(
        "--attach",
        action="store_true",
        help="put the cases of FILE into the bundle, to be run before it serves",
    )
    group = parser.add_argument_group("report")
    group.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write a report: index.html, the same as report.json, and card.md",
    )
    group.add_argument(
        "--slice-by",
        action="append",
        default=[],
        metavar="COLUMN",
        help="measure each value of a column by itself, as in system; may be repeated",
    )
    group = parser.add_argument_group("cheap metrics to hold it against, in the report")
    group.add_argument(
        "--separator",
        metavar="SEP",
        help="what parts alternatives in the ground truth or the columns below, as / or ;",
    )
    group.add_argument(
        "--correct", metavar="COLUMN", help="correct answers (default: the ground truth)"
    )
    group.add_argument(
        "--incorrect", metavar="COLUMN", help="incorrect answers, for TruthfulQA's measure"
    )
    group.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="a Python function of your own: a dictionary of columns in, a number out, higher "
        "for better; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Scores rows and cases through the server's code, prints what came out, writes the report.

    Returns:
        0, or 1 when a named case fails.
    """
    _check(args)

    from tipstaff_server.evaluator import Evaluator
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.cases import bundle_cases, failures, run_cases
    from tipstaff_trainer.data.cases import read_cases
    from tipstaff_trainer.export.bundle_writer import attach_cases

    bundle = Bundle.open(args.bundle)
    cases = read_cases(args.cases) if args.cases else bundle_cases(bundle) or ()
    if args.data is None and not cases:
        raise UsageError("give DATA to measure on, --cases FILE to run, or both")
    evaluator = Evaluator.load(args.bundle, precision=args.precision)
    # Finds out whether this machine runs it as it was measured, and so what the rows' reasons are.
    evaluator.warm_up()
    outcomes = run_cases(evaluator, cases)
    if args.attach:
        attach_cases(args.bundle, cases)
    if args.data:
        _evaluate(args, bundle, evaluator, outcomes)
    failed = failures(outcomes)
    if outcomes:
        # Beside one JSON object there is nothing else on standard output.
        where = sys.stderr if args.json else sys.stdout
        print(
            f"named cases: {len(outcomes) - len(failed)} of {len(outcomes)} as expected", file=where
        )
        for outcome in failed:
            print(f"  fails: {outcome}", file=where)
    return 1 if failed else 0


def _check(args: argparse.Namespace) -> None:
    for path in (args.data, args.cases):
        if path is not None:
            check_exists(path)
    if args.attach and not args.cases:
        raise UsageError("--attach: say which cases, with --cases FILE")
    if args.data is None and (args.out or args.json):
        raise UsageError(f"{'--out' if args.out else '--json'}: needs DATA to measure on")
    for flag in ("slice_by", "separator", "correct", "incorrect", "metric"):
        if getattr(args, flag) and not args.out:
            raise UsageError(f"--{flag.replace('_', '-')}: is for the report, so give --out FOLDER")


def _evaluate(
    args: argparse.Namespace, bundle: Bundle, evaluator: Evaluator, cases: Sequence[Outcome]
) -> None:
    from tipstaff_trainer.evaluation.baselines import gaps
    from tipstaff_trainer.evaluation.contents import doubts
    from tipstaff_trainer.evaluation.metrics import classification_metrics
    from tipstaff_trainer.evaluation.scored import ScoredRows
    from tipstaff_trainer.report.page import check_folder

    if args.out:
        check_folder(args.out)
    data = read_data(args.data, args)
    cheap = _cheap_metrics(args, data) if args.out else {}
    scored = ScoredRows.score(evaluator, data.rows)
    warnings = [
        *data.warnings,
        *absent_fields(evaluator.manifest, data),
        *training_rows(bundle, data),
        *doubts(scored, evaluator.graph),
        *gaps(cheap),
    ]
    warn(warnings)
    metrics = classification_metrics([row.label for row in data.rows], scored.scores)
    page = _write(args, evaluator, scored, warnings, cases, cheap) if args.out else None
    print(json.dumps(metrics) if args.json else _table(metrics))
    if page:
        print(f"report: {page}", file=sys.stderr if args.json else sys.stdout)


def _cheap_metrics(args: argparse.Namespace, data: Data) -> dict[str, Floats]:
    """What the report holds the evaluator against; mistakes are told before anything is scored."""
    from tipstaff_trainer.evaluation.baselines import metric_values
    from tipstaff_trainer.evaluation.reference_metrics import custom_metric, reference_metrics
    from tipstaff_trainer.evaluation.slices import check_columns

    answers = [name for name in (args.correct, args.incorrect) if name and name not in FIELDS]
    check_columns(data.rows, [*args.slice_by, *answers])
    metrics = reference_metrics(
        separator=args.separator, correct=args.correct, incorrect=args.incorrect
    ) | {name: custom_metric(name) for name in args.metric}
    return metric_values(data.rows, metrics)


def _write(
    args: argparse.Namespace,
    evaluator: Evaluator,
    scored: ScoredRows,
    warnings: Sequence[str],
    cases: Sequence[Outcome],
    metrics: Mapping[str, Floats],
) -> Path:
    from tipstaff_trainer.distil.run_folder import metrics_file
    from tipstaff_trainer.evaluation.contents import make_report
    from tipstaff_trainer.evaluation.latency import measure_latency
    from tipstaff_trainer.evaluation.learning import learning_curves
    from tipstaff_trainer.report.page import write_report

    report = make_report(
        evaluator,
        scored,
        bundle=str(args.bundle),
        data=str(args.data),
        slice_by=args.slice_by,
        warnings=warnings,
        cases=cases,
        metrics=metrics,
        latency=measure_latency(evaluator)[0],
        learning=learning_curves(metrics_file(args.bundle)),
    )
    return write_report(report, args.out)


def _table(metrics: Metrics) -> str:
    shown = {
        name: "not defined" if value is None else f"{value:,}" if name == "n" else f"{value:.4f}"
        for name, value in metrics.items()
    }
    return "\n".join(f"{name:<18} {value:>11}" for name, value in shown.items())
