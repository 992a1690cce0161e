"""Compare: is the second evaluator good enough to replace the first?

two bundles, rows → predictions of each → differences, changed rows and cases → report
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import (
    Case,
    bundle_cases,
    describe_changes,
    merge_cases,
    run_cases,
)
from tipstaff_server.evaluator.manifest import MANIFEST_FILE
from tipstaff_server.repository import SERVING_FILE, bundle_path, names, serving_version
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Data
from tipstaff_trainer.evaluation.latency import measure_latency
from tipstaff_trainer.evaluation.notices import training_rows
from tipstaff_trainer.operations.sources import FileData, NamedCases, RowSource, StoredData
from tipstaff_trainer.operations.subject import Subject
from tipstaff_trainer.progress import Reporter

if TYPE_CHECKING:
    from tipstaff_trainer.evaluation.comparison import Comparison

_BUNDLE = "a bundle's folder, or REPO/NAME for the version that serves there"


class CompareRequest(Request):
    """Two bundles, and the rows to compare them on."""

    first: Path = setting(description=_BUNDLE)
    second: Path = setting(description="the newer bundle, in the same form")
    data: FileData | StoredData = setting(description="labelled rows to compare on")
    cases: NamedCases | None = setting(
        None,
        "YAML of named cases (default: the second's, and those of the first that it lacks)",
        unit="file",
        local=True,
    )
    out: Path | None = setting(
        None, "write a report of each row: index.html, the same as comparison.json", unit="folder"
    )


@dataclass(frozen=True)
class CompareResult:
    """A comparison, and its report.

    Attributes:
        comparison: All numbers, and the reasons why the second must not replace the first.
        report: The report's page; None without a report.
    """

    comparison: Comparison
    report: Path | None


def compare(
    request: CompareRequest,
    rows: RowSource,
    reporter: Reporter,
    *,
    subjects: tuple[Subject, Subject] | None = None,
) -> CompareResult:
    """Scores the rows with both bundles and compares the predictions.

    Args:
        request: What to compare.
        rows: Reads the request's rows.
        reporter: Takes warnings about what limits the numbers.
        subjects: Both bundles with their predictions on these rows, where they exist already.

    Raises:
        UsageError: A path names a repository, not an evaluator.
        BundleError: A bundle is damaged.
        ReportError: The report's folder can't be written, or holds other files.
    """
    # Imported here, since scikit-learn and matplotlib take seconds.
    from tipstaff_trainer.evaluation.comparison import compare as compare_scored
    from tipstaff_trainer.evaluation.contents import measure_evaluator
    from tipstaff_trainer.report.comparison_page import JSON_FILE, write_comparison
    from tipstaff_trainer.report.page import check_folder

    if request.out is not None:
        check_folder(request.out, JSON_FILE)
    folders = _resolve(request.first), _resolve(request.second)
    cases, case_changes = _cases(request, *map(Bundle.open, folders))
    data = rows()
    first, second = subjects or tuple(Subject.load(folder, data) for folder in folders)
    for message in case_changes:
        reporter.warn(message)
    _warn(first, second, data, reporter)
    # Only the page shows latencies, and measuring them takes seconds.
    evaluators = first.evaluator, second.evaluator
    latencies = measure_latency(*evaluators) if request.out else [(), ()]
    before, after = (
        measure_evaluator(each.evaluator, each.scored, bundle=each.title, latency=latency)
        for each, latency in zip((first, second), latencies, strict=True)
    )
    comparison = compare_scored(
        (before, after),
        (first.scored, second.scored),
        data=data.file,
        cases=(run_cases(first.evaluator, cases), run_cases(second.evaluator, cases)),
    )
    report = write_comparison(comparison, request.out) if request.out else None
    return CompareResult(comparison, report)


def _warn(first: Subject, second: Subject, data: Data, reporter: Reporter) -> None:
    """Warns of what limits the numbers; names the bundle where it is true of one alone."""
    # Once for each folder: a bundle may be compared with itself.
    subjects = {each.bundle.path.resolve(): each for each in (first, second)}.values()
    notices = [[*each.notices(data), *training_rows(each.bundle, data.rows)] for each in subjects]
    for notice in dict.fromkeys(chain(*notices)):
        of = [each.title for each, own in zip(subjects, notices, strict=True) if notice in own]
        name = "" if len(of) == len(subjects) else f"{of[0]}: "
        reporter.warn(f"{name}{notice.message}", remedy=notice.remedy)


def _resolve(path: Path) -> Path:
    """The bundle's folder; the serving version's where the path is an evaluator in a repository."""
    if (path / MANIFEST_FILE).exists():
        return path
    if path.is_dir() and (evaluators := names(path)):
        raise UsageError(
            f"{path} is a repository: say which evaluator, as in {path / evaluators[0]}"
        )
    if not (path / SERVING_FILE).exists():
        return path
    version = serving_version(path.parent, path.name)
    return path if version is None else bundle_path(path.parent, path.name, version)


def _cases(
    request: CompareRequest, first: Bundle, second: Bundle
) -> tuple[tuple[Case, ...], Sequence[str]]:
    """The cases that both run, and sentences on how the first's cases changed in the second."""
    if request.cases is not None:
        return request.cases, ()
    after, before = bundle_cases(second) or (), bundle_cases(first) or ()
    fields = second.manifest.fields
    changes = describe_changes(after, before, fields, of="the first")
    return merge_cases(after, before, fields), changes
