"""`tipstaff compare FIRST SECOND DATA`: may the second take the first's place?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.manifest import MANIFEST_FILE
from tipstaff_server.repository import SERVING_FILE, bundle_path, names, serving_version
from tipstaff_trainer.cli.data_arguments import (
    absent_fields,
    add_data_arguments,
    check_exists,
    read_data,
    training_rows,
    warn,
)

if TYPE_CHECKING:
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.cases import Case
    from tipstaff_trainer.evaluation.comparison import Comparison
    from tipstaff_trainer.evaluation.intervals import Interval

_BUNDLE = "a bundle's folder, or REPO/NAME for the version that serves there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("first", type=Path, metavar="FIRST", help=_BUNDLE)
    parser.add_argument("second", type=Path, metavar="SECOND", help="likewise; the newer one")
    add_data_arguments(parser)
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="FILE",
        help="YAML of named cases (default: the second's, and the first's that it lacks)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="write a report, row by row: index.html, and the same as comparison.json",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Scores the rows by both and prints what changed.

    Returns:
        0, or 1 when the second is a regression: significantly worse, lets more bad rows
            pass or stops more good ones, or a named case is lost.
    """
    for path in (args.data, args.cases):
        if path is not None:
            check_exists(path)

    from tipstaff_server.evaluator import Evaluator
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.cases import run_cases
    from tipstaff_trainer.evaluation.comparison import compare, side
    from tipstaff_trainer.evaluation.contents import doubts
    from tipstaff_trainer.evaluation.latency import measure_latency
    from tipstaff_trainer.evaluation.scored import ScoredRows
    from tipstaff_trainer.report.comparison_page import JSON_FILE, write_comparison
    from tipstaff_trainer.report.page import check_folder

    if args.out:
        check_folder(args.out, JSON_FILE)
    folders = _serving(args.first), _serving(args.second)
    bundles = [Bundle.open(folder) for folder in folders]
    cases, case_changes = _cases(args.cases, *bundles)
    first, second = (Evaluator.load(folder) for folder in folders)
    data = read_data(args.data, args)
    for evaluator in (first, second):
        evaluator.warm_up()
    scored = ScoredRows.score(first, data.rows), ScoredRows.score(second, data.rows)
    found_out = [
        text
        for evaluator, rows in zip((first, second), scored, strict=True)
        for text in (*absent_fields(evaluator.manifest, data), *doubts(rows, evaluator.graph))
    ] + [f"{bundle.path}: {text}" for bundle in bundles for text in training_rows(bundle, data)]
    warn((*data.warnings, *case_changes, *dict.fromkeys(found_out)))
    latency = measure_latency(first, second) if args.out else [(), ()]
    one, other = (
        side(evaluator, rows, bundle=str(folder), latency=times)
        for evaluator, rows, folder, times in zip(
            (first, second), scored, folders, latency, strict=True
        )
    )
    outcomes = run_cases(first, cases), run_cases(second, cases)
    found = compare((one, other), scored, data=str(args.data), cases=outcomes)
    page = write_comparison(found, args.out) if args.out else None
    print(found.model_dump_json() if args.json else "\n".join(_lines(found)))
    if page:
        print(f"report: {page}", file=sys.stderr if args.json else sys.stdout)
    return 1 if found.regressions else 0


def _serving(path: Path) -> Path:
    """The bundle itself, or the one that serves where the path is an evaluator of a repository."""
    if (path / MANIFEST_FILE).exists():
        return path
    if path.is_dir() and (found := names(path)):
        raise UsageError(f"{path} is a repository: say which evaluator, as in {path / found[0]}")
    if not (path / SERVING_FILE).exists():
        return path
    version = serving_version(path.parent, path.name)
    return path if version is None else bundle_path(path.parent, path.name, version)


def _cases(
    file: Path | None, first: Bundle, second: Bundle
) -> tuple[tuple[Case, ...], Sequence[str]]:
    """What both run, and what has become of the first's cases since."""
    from tipstaff_server.evaluator.cases import bundle_cases, changes, united
    from tipstaff_trainer.data.cases import read_cases

    if file is not None:
        return read_cases(file), ()
    own, before = bundle_cases(second) or (), bundle_cases(first) or ()
    fields = second.manifest.fields
    return united(own, before, fields), changes(own, before, fields, of="the first")


def _lines(found: Comparison) -> Iterator[str]:
    yield f"{'':<14} {'first':>8} {'second':>8}   difference, 95 % interval"
    for name, key, difference in (
        ("accuracy", "accuracy", found.accuracy_difference),
        ("AUROC", "roc_auc", found.auroc_difference),
        ("log loss", "log_loss", None),
        ("ECE", "ece", None),
    ):
        values = (_shown(part.metrics[key]) for part in (found.first, found.second))
        yield f"{name:<14} {' '.join(values)}   {_signed(difference)}".rstrip()
    both = found.first.overall, found.second.overall
    for name, shares in (
        ("bad rows pass", [part.false_pass for part in both]),
        ("good blocked", [part.false_block for part in both]),
    ):
        values = (_shown(None if each is None else each.value) for each in shares)
        yield f"{name:<14} {' '.join(values)}"
    yield (
        f"{len(found.better)} rows better, {len(found.worse)} worse at 0.5 (McNemar's exact test "
        f"by groups: p = {found.p:.2g}); Cohen's kappa of the two {_shown(found.kappa).strip()}"
    )
    rows = found.changed_verdicts
    yield (
        f"bad rows: {len(rows.bad_now_pass)} now pass, {len(rows.bad_no_longer_pass)} no longer; "
        f"good rows: {len(rows.good_now_blocked)} are now blocked, "
        f"{len(rows.good_no_longer_blocked)} no longer"
    )
    if found.cases:
        yield f"named cases: {len(found.won)} won, {len(found.lost)} lost of {found.cases}"
    for why in found.regressions:
        yield f"regression: {why}"
    if not found.regressions:
        yield "no regression"


def _shown(value: float | None) -> str:
    return f"{'–':>8}" if value is None else f"{value:8.4f}"


def _signed(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
