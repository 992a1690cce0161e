"""`tipstaff train DATA --name NAME --out DIR`: from labelled rows to a bundle."""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from tipstaff.cli import flag, flag_names
from tipstaff_server.cli.options import add_options, given
from tipstaff_server.evaluator.cases import failures
from tipstaff_server.evaluator.manifest import Manifest, Precision
from tipstaff_server.repository.caveats import Caveat, caveats, measured_rows
from tipstaff_trainer.cli.data_options import DATA_FLAGS, add_data_options, file_data
from tipstaff_trainer.cli.outcomes import print_outcomes
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.operations.few_rows import suits_start
from tipstaff_trainer.operations.sources import FileData, StoredData
from tipstaff_trainer.operations.train import Trained, TrainRequest, read_training_rows, train
from tipstaff_trainer.progress import TerminalReporter

FLAGS = {**DATA_FLAGS, "precisions": "--precision", "tracker": "--track", "start_from": "--from"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments, which are the fields of its request."""
    add_data_options(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder that becomes the bundle"
    )
    # `relabel` is a command of its own, and `traffic` is in a workspace.
    others = TrainSettings.model_fields.keys() | {"data", "relabel", "traffic"}
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
    print(f"next:   {_next_step(trained, request, doubts)}")
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


def _next_step(trained: Trained, request: TrainRequest, doubts: Sequence[Caveat]) -> str:
    """What most improves the evaluator, or what is known of it; to serve it where it is good."""
    manifest, bundle = trained.bundle.manifest, shlex.quote(str(trained.bundle.path))
    kinds, part = {each.kind for each in doubts}, measured_rows(manifest)
    quality = manifest.quality.get(part)
    if quality is not None and quality.auroc is None:
        return f"measure it on good and bad rows: tipstaff evaluate {bundle} DATA"
    if "learnt" in kinds or "chance" in kinds:
        changes, labels = _what_to_change(manifest, request), _label_errors(request.data)
        return f"{changes} look for wrong labels: {labels}"
    if part != "test":
        return f"measure it on rows that it has not seen: tipstaff evaluate {bundle} DATA"
    if "rows" in kinds:
        return (
            "label more rows and train again, or measure it on more: "
            f"tipstaff evaluate {bundle} DATA"
        )
    if failures(trained.outcomes):
        return "label rows like the cases that fail and train again, or correct the cases"
    return f"tipstaff serve {bundle}"


def _what_to_change(manifest: Manifest, request: TrainRequest) -> str:
    """What else to do with an evaluator that has not learnt, before looking for wrong labels."""
    learnt, choices = manifest.learnt, ["label more rows", "try another --base"]
    if request.start_from is None and suits_start(request, manifest.training.rows, manifest.fields):
        choices.append("start from a general evaluator with --from")
    failed = [] if learnt is None else [each for each in learnt.comparisons if not each.passed]
    if any(each.baseline == "version before" for each in failed):
        choices.append("keep the version before")
    if any(each.baseline.startswith("word overlap") for each in failed):
        choices.append("score with word overlap as it is")
    return f"{', '.join(choices)}, or"


def _label_errors(data: FileData | StoredData | None) -> str:
    """The command that looks for wrong labels in the training's rows."""
    words = ["tipstaff", "label-errors", "DATA"]
    if isinstance(data, FileData):
        words[2] = str(data.data)
        for name, column in data.mapping.items():
            words += ["--map", f"{name}={column}"]
        for name, value in data.given.items():
            words += [flag(name), ",".join(value) if isinstance(value, tuple) else f"{value}"]
    return shlex.join([*words, "--out", "FILE"])
