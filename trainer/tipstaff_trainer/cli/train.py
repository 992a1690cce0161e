"""`tipstaff train DATA --name NAME --out DIR`: from labelled rows to a bundle."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from tipstaff.cli import flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import Manifest, Precision
from tipstaff_server.repository.caveats import Caveat, caveats, measured_rows
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.cli.outcomes import print_outcomes
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.operations.sources import FileData
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
    manifest = trained.bundle.manifest
    print("\n".join(_quality_lines(manifest)))
    print_outcomes(trained.outcomes)
    doubts = caveats(manifest)
    for doubt in doubts:
        print(f"{manifest.name} {doubt}.")
    print(f"bundle: {trained.bundle.path}")
    print(f"next:   {_next_step(trained.bundle, request, doubts)}")
    return 0


def _quality_lines(manifest: Manifest) -> Iterator[str]:
    """The first graph's quality in words, each figure with its interval or its rows."""
    graph = manifest.graphs[0]
    for part, quality in manifest.quality.items():
        values = [f"accuracy {quality.accuracy}"]
        if quality.auroc is not None:
            values.append(f"AUROC {quality.auroc}")
        if (ece := manifest.metrics[part]["ece"]) is not None:
            values.append(f"ECE {ece:.3f}")
        rows = f"{quality.n} rows ({quality.good} good, {quality.bad} bad)"
        yield f"{part}: {', '.join(values)} on {rows}, {graph.precision} graph as served"
    if graph.parity:
        yield f"against torch: {graph.parity.changed:.2%} of {graph.parity.n} decisions changed"


def _next_step(bundle: Bundle, request: TrainRequest, doubts: Sequence[Caveat]) -> str:
    """What most improves the evaluator, or what is known of it; to serve it where it is good."""
    kinds = {each.kind for each in doubts}
    if "chance" in kinds:
        data = request.data.data if isinstance(request.data, FileData) else "DATA"
        return f"label more rows, or look for wrong labels: tipstaff label-errors {data} --out FILE"
    if measured_rows(bundle.manifest) != "test":
        return f"measure it on rows that it has not seen: tipstaff evaluate {bundle.path} DATA"
    if "rows" in kinds:
        return (
            "label more rows and train again, or measure it on more: "
            f"tipstaff evaluate {bundle.path} DATA"
        )
    return f"tipstaff serve {bundle.path}"
