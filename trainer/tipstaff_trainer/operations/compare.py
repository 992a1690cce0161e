"""Compare: is the second evaluator good enough to replace the first?

two bundles, rows → predictions of each → differences, changed rows and cases → report
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tipstaff_server.evaluator.cases import Case
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.operations.sources import FileData, InputFile, RowSource, StoredData
from tipstaff_trainer.progress import Reporter

if TYPE_CHECKING:
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_trainer.evaluation.comparison import Comparison
    from tipstaff_trainer.operations.subject import Subject

_BUNDLE = "a bundle's folder, or REPO/NAME for the version that serves there"


class CompareRequest(Request):
    """Two bundles, and the rows to compare them on."""

    first: Path = setting(description=_BUNDLE, local=True)
    second: Path = setting(description="the newer one: likewise", local=True)
    data: FileData | StoredData = setting(description="labelled rows to compare on")
    cases: InputFile | None = setting(
        None,
        "YAML of named cases (default: the second's, and those of the first that it lacks)",
        unit="file",
        local=True,
    )
    out: Path | None = setting(
        None,
        "write a report, row by row: index.html, and the same as comparison.json",
        unit="folder",
        local=True,
    )


@dataclass(frozen=True)
class Compared:
    """A comparison, and where it was written.

    Attributes:
        comparison: All numbers, and why the second must not replace the first, if it must not.
        report: The report's page; None where no report was asked for.
    """

    comparison: Comparison
    report: Path | None


def compare(
    request: CompareRequest,
    rows: RowSource,
    reporter: Reporter,
    *,
    subjects: tuple[Subject, Subject] | None = None,
) -> Compared:
    """Scores the rows with both bundles and finds what changed.

    Args:
        request: What to compare.
        rows: Reads the request's rows.
        reporter: Takes what to know before believing the numbers.
        subjects: Both bundles with their predictions on these rows, where they exist already.

    Raises:
        UsageError: A path names a repository, not an evaluator.
        BundleError: A bundle is damaged.
        DataError: The cases can't be read.
        ReportError: The report's folder can't be written, or holds other files.
    """
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.cases import run_cases
    from tipstaff_trainer.evaluation.comparison import compare as compare_scored
    from tipstaff_trainer.evaluation.contents import measure_evaluator
    from tipstaff_trainer.evaluation.latency import measure_latency
    from tipstaff_trainer.operations.subject import Subject
    from tipstaff_trainer.report.comparison_page import JSON_FILE, write_comparison
    from tipstaff_trainer.report.page import check_folder

    if request.out is not None:
        check_folder(request.out, JSON_FILE)
    folders = _resolve(request.first), _resolve(request.second)
    cases, case_changes = _cases(request.cases, *map(Bundle.open, folders))
    data = rows()
    first, second = subjects or tuple(Subject.load(folder, data) for folder in folders)
    for message in case_changes:
        reporter.warn(message)
    for notice in dict.fromkeys([*first.notices(data), *second.notices(data)]):
        reporter.warn(notice.message, remedy=notice.remedy)
    for subject in (first, second):
        for notice in subject.known_rows(data):
            reporter.warn(f"{subject.title}: {notice.message}", remedy=notice.remedy)
    # Its times are for readers of the page alone, and take seconds.
    evaluators = first.evaluator, second.evaluator
    latency = measure_latency(*evaluators) if request.out else [(), ()]
    comparison = compare_scored(
        (
            measure_evaluator(
                first.evaluator, first.scored, bundle=first.title, latency=latency[0]
            ),
            measure_evaluator(
                second.evaluator, second.scored, bundle=second.title, latency=latency[1]
            ),
        ),
        (first.scored, second.scored),
        data=data.file,
        cases=(run_cases(first.evaluator, cases), run_cases(second.evaluator, cases)),
    )
    report = write_comparison(comparison, request.out) if request.out else None
    return Compared(comparison, report)


def _resolve(path: Path) -> Path:
    """The bundle's folder; the serving version's where the path is an evaluator in a repository."""
    from tipstaff.errors import UsageError
    from tipstaff_server.evaluator.manifest import MANIFEST_FILE
    from tipstaff_server.repository import SERVING_FILE, bundle_path, names, serving_version

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
    file: Path | None, first: Bundle, second: Bundle
) -> tuple[tuple[Case, ...], Sequence[str]]:
    """The cases that both run, and how the first's cases changed since."""
    from tipstaff_server.evaluator.cases import bundle_cases, describe_changes, merge_cases
    from tipstaff_trainer.data.cases import read_cases

    if file is not None:
        return read_cases(file), ()
    own, before = bundle_cases(second) or (), bundle_cases(first) or ()
    fields = second.manifest.fields
    return merge_cases(own, before, fields), describe_changes(own, before, fields, of="the first")
