"""`tipstaff train DATA --name NAME --out DIR`: from labelled rows to a bundle."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from tipstaff.errors import UsageError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import Case, failures, run_cases
from tipstaff_server.evaluator.manifest import EvaluatorName, Precision
from tipstaff_trainer.cli.data_arguments import (
    add_data_arguments,
    check_exists,
    read_data,
    warn,
)
from tipstaff_trainer.data import (
    Data,
    Row,
    check_split,
    check_trainable,
    hold_out,
    read_rows,
    split_rows,
)
from tipstaff_trainer.data.cases import read_cases
from tipstaff_trainer.distil.run_folder import check_out
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.distil.tracking import TRACKERS, check_tracker
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
        "--unlabelled",
        type=Path,
        metavar="FILE",
        help="more rows, without labels, for --size small to learn from",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="DIR",
        help="full evaluator that this command wrote, for --size small to learn from; else one is "
        "trained first",
    )
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
        "--cases",
        type=Path,
        metavar="FILE",
        help="YAML of named cases; they go into the bundle, and stop a promotion that loses one",
    )
    parser.add_argument(
        "--track",
        choices=TRACKERS,
        default="none",
        help="where else the run's numbers go, if its package is installed (default: nowhere)",
    )
    parser.add_argument(
        "--restart", action="store_true", help="throw away an interrupted run in --out"
    )
    group = parser.add_argument_group("training")
    for name, field in TrainSettings.model_fields.items():
        shown = "what suits data and machine" if field.default is None else field.default
        group.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=_values(field.annotation),
            default=argparse.SUPPRESS,
            help=f"{field.description} (default: {shown})",
        )


def run(args: argparse.Namespace) -> int:
    """Trains, writes the bundle and says how good it is and what comes next."""
    for path in (args.data, args.test_file, args.unlabelled, args.cases):
        if path is not None:
            check_exists(path)
    check_out(args.out)
    check_tracker(args.track)
    settings = _settings(args)
    if args.unlabelled is not None and settings.size == "full":
        raise UsageError(
            "--unlabelled: only a small evaluator learns from rows without labels, by what the "
            "full one says of them: add --size small"
        )
    if args.teacher is not None:
        if settings.size == "full":
            raise UsageError("--teacher: only a small evaluator has one: add --size small")
        if not args.teacher.is_dir():
            raise UsageError(f"--teacher {args.teacher}: no such folder")
    cases = read_cases(args.cases) if args.cases else None
    data = read_data(args.data, args)
    _say(data)
    rows, test_rows = _parted(data, args, settings.seed)
    _warn(check_trainable(rows))

    # Only now, since torch takes seconds to import.
    _quiet_libraries()
    from tipstaff_trainer.operations.train import train_evaluator

    bundle = train_evaluator(
        rows,
        name=args.name,
        out=args.out,
        fields=data.columns,
        settings=settings,
        test_rows=test_rows,
        unlabelled=_unlabelled(data, args),
        teacher=args.teacher,
        criterion=args.criterion,
        precisions=args.precision,
        golden=args.golden,
        cases=cases,
        tracker=args.track,
        restart=args.restart,
    )
    _report(bundle)
    if cases:
        _report_cases(bundle, cases)
    return 0


def _parted(data: Data, args: argparse.Namespace, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows to test on; tells the user what is to know about them."""
    if args.test_size is not None:
        rows, test_rows = split_rows(data.rows, args.test_size, seed=seed)
        _warn(check_split(rows, test_rows, args.test_size, name="test"))
        return rows, test_rows
    if args.test_file is None:
        return data.rows, []
    test = read_data(args.test_file, args)
    _say(test)
    rows, test_rows, notes = hold_out(data, test)
    _warn(notes)
    if not rows:
        raise DataError(
            f"{args.data}: no row is left to train on, since each shares its group or its texts "
            f"with a row of {args.test_file}; give other test rows, or --test-size in place of "
            "--test-file"
        )
    return rows, test_rows


def _unlabelled(data: Data, args: argparse.Namespace) -> list[Row]:
    if args.unlabelled is None:
        return []
    more = read_rows(args.unlabelled, columns=data.columns, mapping=dict(args.map), labelled=False)
    _say(more)
    return more.rows


def _say(data: Data) -> None:
    # At once, since what comes next may fail for the very reason that a note gives.
    for note in data.notes:
        print(f"note: {note}", file=sys.stderr)
    _warn(data.warnings)


def _warn(warnings: Sequence[str]) -> None:
    warn(warnings)


def _values(annotation: Any) -> str:
    """What help shows for a setting's value: the choices, where there are few."""
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    words = [_values(part) for part in get_args(annotation) if get_origin(part) is Literal]
    if words:
        return f"{words[0]}|N"
    return "true|false" if bool in (annotation, *get_args(annotation)) else "VALUE"


def _settings(args: argparse.Namespace) -> TrainSettings:
    given = vars(args)
    try:
        return TrainSettings.model_validate(
            {name: given[name] for name in TrainSettings.model_fields if name in given}
        )
    except ValidationError as error:
        first, *others = error.errors()
        flag = "--" + str(first["loc"][0]).replace("_", "-")
        # What may be a word or a number has an error for each.
        also = [each["msg"] for each in others if each["loc"][0] == first["loc"][0]]
        why = "; or: ".join([first["msg"], *also])
        raise UsageError(f"{flag} {first['input']}: {why}") from None


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


def _report_cases(bundle: Bundle, cases: Sequence[Case]) -> None:
    failed = failures(run_cases(Evaluator.load(bundle.path), cases))
    print(f"named cases: {len(cases) - len(failed)} of {len(cases)} as expected")
    for outcome in failed:
        print(f"  fails: {outcome}")


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
