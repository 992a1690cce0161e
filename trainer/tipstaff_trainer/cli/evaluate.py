"""`tipstaff evaluate BUNDLE DATA`: how good an evaluator is on labelled rows, as served."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tipstaff.types import Reason
from tipstaff_server.evaluator.manifest import Manifest, Precision
from tipstaff_trainer.cli.data_arguments import add_data_arguments, check_exists, read_data

if TYPE_CHECKING:
    from tipstaff_server.evaluator import Ruling
    from tipstaff_trainer.data import Data
    from tipstaff_trainer.report.metrics import Metrics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    add_data_arguments(parser)
    parser.add_argument("--precision", choices=get_args(Precision), help="which of its graphs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Scores every row through the server's code and prints the metrics."""
    check_exists(args.data)

    from tipstaff_server.evaluator import Evaluator
    from tipstaff_trainer.measure import rulings
    from tipstaff_trainer.report.metrics import classification_metrics

    evaluator = Evaluator.load(args.bundle, precision=args.precision)
    data = read_data(args.data, args)
    scored = rulings(evaluator, [row.interaction for row in data.rows])
    for warning in (*data.warnings, *_absent(evaluator.manifest, data), *_doubts(scored)):
        print(f"warning: {warning}", file=sys.stderr)
    metrics = classification_metrics(
        [row.label for row in data.rows], [ruling.score for ruling in scored]
    )
    print(json.dumps(metrics) if args.json else _table(metrics))
    return 0


def _absent(manifest: Manifest, data: Data) -> Iterator[str]:
    for name in manifest.fields:
        if count := sum(row.interaction.get(name) is None for row in data.rows):
            yield (
                f"{count} of {len(data.rows)} rows lack {name}, which the evaluator was trained "
                f"on: where a column has it under another name, say --map {name}=COLUMN"
            )


def _doubts(scored: Sequence[Ruling]) -> Iterator[str]:
    """What an engineer should know before believing the numbers."""
    for reason, what in (
        (Reason.PARTIAL, "are longer than the evaluator reads, and were cut"),
        (Reason.DEGRADED, "were scored in a mode other than the measured one"),
    ):
        if count := sum(reason in ruling.reasons for ruling in scored):
            yield f"{count} of {len(scored)} rows {what}"


def _table(metrics: Metrics) -> str:
    shown = {
        name: "not defined" if value is None else f"{value:,}" if name == "n" else f"{value:.4f}"
        for name, value in metrics.items()
    }
    return "\n".join(f"{name:<18} {value:>11}" for name, value in shown.items())
