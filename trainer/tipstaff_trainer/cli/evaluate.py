"""`tipstaff evaluate BUNDLE DATA`: how good an evaluator is on labelled rows, as served."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from tipstaff_trainer.cli.data_arguments import add_data_arguments, check_exists, read_data

if TYPE_CHECKING:
    from tipstaff_trainer.report.metrics import Metrics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    add_data_arguments(parser)
    parser.add_argument("--precision", choices=["int8", "fp32"], help="which of its graphs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Scores every row through the server's code and prints the metrics."""
    check_exists(args.data)

    from tipstaff_server.evaluator import Evaluator
    from tipstaff_trainer.measure import rulings
    from tipstaff_trainer.report.metrics import classification_metrics

    evaluator = Evaluator.load(args.bundle, precision=args.precision)
    rows = read_data(args.data, args).rows
    scored = rulings(evaluator, [row.interaction for row in rows])
    metrics = classification_metrics(
        [row.label for row in rows], [ruling.score for ruling in scored]
    )
    print(json.dumps(metrics) if args.json else _table(metrics))
    return 0


def _table(metrics: Metrics) -> str:
    shown = {
        name: "not defined" if value is None else f"{value:,}" if name == "n" else f"{value:.4f}"
        for name, value in metrics.items()
    }
    return "\n".join(f"{name:<18} {value:>11}" for name, value in shown.items())
