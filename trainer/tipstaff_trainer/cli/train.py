"""`tipstaff train DATA --name NAME --out DIR`: from labelled rows to a bundle."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.manifest import EvaluatorName, Precision
from tipstaff_trainer.cli.data_arguments import add_data_arguments, check_exists, read_data
from tipstaff_trainer.data import Data, Row, check_trainable, split_rows, without_groups_of
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.errors import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments; the training settings come from `TrainSettings`."""
    add_data_arguments(parser)
    parser.add_argument(
        "--name", required=True, type=_name, help="the evaluator's name: a-z, 0-9 and -"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder that becomes the bundle"
    )
    parser.add_argument("--criterion", default="", help="what it judges, in words")
    test = parser.add_mutually_exclusive_group()
    test.add_argument(
        "--test-size", type=float, metavar="SHARE", help="keep this share of the rows for testing"
    )
    test.add_argument("--test-file", type=Path, metavar="FILE", help="rows for testing")
    parser.add_argument(
        "--precision",
        nargs="+",
        default=["int8"],
        choices=get_args(Precision),
        help="graphs to export; int8 for CPUs, fp16 for GPUs, fp32 to compare (default: int8)",
    )
    parser.add_argument(
        "--golden",
        type=_count,
        default=8,
        metavar="N",
        help="rows copied into the bundle, for servers to check themselves by (default: 8)",
    )
    parser.add_argument(
        "--restart", action="store_true", help="throw away an interrupted run in --out"
    )
    group = parser.add_argument_group("training")
    for name, field in TrainSettings.model_fields.items():
        shown = "what suits data and machine" if field.default is None else field.default
        group.add_argument(
            f"--{name.replace('_', '-')}",
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=f"{field.description} (default: {shown})",
        )


def run(args: argparse.Namespace) -> int:
    """Trains, writes the bundle and says how good it is and what comes next."""
    for path in (args.data, args.test_file):
        if path is not None:
            check_exists(path)
    settings = _settings(args)
    data = read_data(args.data, args)
    rows, test_rows, notes = _parted(data, args, settings.seed)
    for warning in (*data.warnings, *notes, *check_trainable(rows)):
        print(f"warning: {warning}", file=sys.stderr)

    # Only now, since torch takes seconds to import.
    _quiet_libraries()
    from tipstaff_trainer.pipeline import train_evaluator

    bundle = train_evaluator(
        rows,
        name=args.name,
        out=args.out,
        fields=data.columns,
        settings=settings,
        test_rows=test_rows,
        criterion=args.criterion,
        precisions=args.precision,
        golden=args.golden,
        restart=args.restart,
    )
    _report(bundle)
    return 0


def _parted(
    data: Data, args: argparse.Namespace, seed: int
) -> tuple[list[Row], list[Row], Sequence[str]]:
    """Rows to train on, rows to test on, and notes for the user."""
    if args.test_size is not None:
        return *split_rows(data.rows, args.test_size, seed=seed), ()
    if args.test_file is None:
        return data.rows, [], ()
    test = read_data(args.test_file, args)
    if absent := [name for name in data.columns if name not in test.columns]:
        raise DataError(
            f"{args.test_file}: has no column {' or '.join(absent)}, which the evaluator is to "
            "read; map one with --map, or leave the field out with --columns"
        )
    rows = without_groups_of(data.rows, test.rows)
    notes = list(test.warnings)
    if data.grouped != test.grouped:
        has, lacks = (args.data, args.test_file) if data.grouped else (args.test_file, args.data)
        notes.append(
            f"{has} has a group column and {lacks} has none, so rows that belong together can't be "
            "told across them: the test may flatter; add the column, or split one file with "
            "--test-size"
        )
    if shared := len(data.rows) - len(rows):
        notes.append(
            f"left out {shared} of {len(data.rows)} rows, whose group is also in {args.test_file}"
        )
    return rows, test.rows, notes


def _settings(args: argparse.Namespace) -> TrainSettings:
    given = vars(args)
    try:
        return TrainSettings.model_validate(
            {name: given[name] for name in TrainSettings.model_fields if name in given}
        )
    except ValidationError as error:
        first = error.errors()[0]
        flag = "--" + str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"{flag} {first['input']}: {first['msg']}") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows")
    return int(text)


def _name(text: str) -> str:
    try:
        return TypeAdapter(EvaluatorName).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: lower-case letters, digits and -, at most 63, not beginning with -"
        ) from None


def _quiet_libraries() -> None:
    """Leaves the log to what users can act on."""
    import transformers

    logging.basicConfig(format="warning: %(message)s")
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    for noisy in ("optimum", "accelerate", "huggingface_hub", "torch.onnx", "onnxruntime"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _report(bundle: Bundle) -> None:
    manifest = bundle.manifest
    graph = manifest.graphs[0]
    for part, metrics in manifest.metrics.items():
        shown = ", ".join(
            f"{label} {metrics[name]:.3f}"
            for name, label in (("accuracy", "accuracy"), ("roc_auc", "AUROC"), ("ece", "ECE"))
            if metrics[name] is not None
        )
        print(f"{part}: {shown} on {metrics['n']} rows, {graph.precision} graph as served")
    if graph.parity:
        print(f"against torch: {graph.parity.changed:.2%} of {graph.parity.n} decisions changed")
    if graph.calibration.method == "none":
        print(
            "warning: too few validation rows of both classes to calibrate on, so scores are not "
            "probabilities yet: label more rows",
            file=sys.stderr,
        )
    print(f"bundle: {bundle.path}")
    print(f"next:   tipstaff serve {bundle.path}")
