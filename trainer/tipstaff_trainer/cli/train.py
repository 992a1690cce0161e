"""`tipstaff train DATA --name NAME --out DIR`: from labelled rows to a bundle."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import get_args

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.cli.outcomes import print_outcomes
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.operations.train import TrainRequest, read_training_rows, train
from tipstaff_trainer.progress import TerminalReporter

FLAGS = {**DATA_FLAGS, "precisions": "--precision", "tracker": "--track"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments, which are the fields of its request."""
    add_data_options(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder that becomes the bundle"
    )
    # `relabel` is a command of its own.
    others = TrainSettings.model_fields.keys() | {"data", "relabel"}
    lists = {"precisions": get_args(Precision)}
    add_options(parser, TrainRequest, flags=FLAGS, without=others, lists=lists)
    add_options(parser.add_argument_group("training"), TrainSettings)


def run(args: argparse.Namespace) -> int:
    """Trains, writes the bundle, and prints how good it is and what comes next."""
    request = TrainRequest.parse({**given(TrainRequest, args), "data": file_data(args)})
    reporter = TerminalReporter(flag_names(FLAGS))
    logging.basicConfig(format="warning: %(message)s")
    trained = train(request, partial(read_training_rows, request, reporter), args.out, reporter)
    _print_quality(trained.bundle)
    print_outcomes(trained.outcomes)
    print(f"bundle: {trained.bundle.path}")
    print(f"next:   tipstaff serve {trained.bundle.path}")
    return 0


def _print_quality(bundle: Bundle) -> None:
    graph = bundle.manifest.graphs[0]
    for part, metrics in bundle.manifest.metrics.items():
        values = ", ".join(
            f"{label} {metrics[name]:.3f}"
            for name, label in (("accuracy", "accuracy"), ("roc_auc", "AUROC"), ("ece", "ECE"))
            if metrics[name] is not None
        )
        print(f"{part}: {values} on {metrics['n']} rows, {graph.precision} graph as served")
    if graph.parity:
        print(f"against torch: {graph.parity.changed:.2%} of {graph.parity.n} decisions changed")
