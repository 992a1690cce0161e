"""Evaluate: how good an evaluator is on labelled rows, as served.

bundle, rows → predictions → metrics → report; named cases → outcomes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_server.evaluator.cases import Outcome
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Data
from tipstaff_trainer.operations.sources import FileData, InputFile, RowSource, StoredData
from tipstaff_trainer.progress import Reporter

if TYPE_CHECKING:
    from tipstaff_trainer.evaluation.metrics import Metrics
    from tipstaff_trainer.evaluation.scored import Floats
    from tipstaff_trainer.operations.subject import Subject

# Fields that only change the report.
_FOR_THE_REPORT = ("slice_by", "separator", "correct", "incorrect", "metric")


class EvaluateRequest(Request):
    """What to measure, on which rows, and what the report shows."""

    bundle: Path = setting(description="the bundle's folder", local=True)
    data: FileData | StoredData | None = setting(None, "labelled rows to measure on")
    precision: Precision | None = setting(None, "which of its graphs", title="Graph")
    cases: InputFile | None = setting(
        None,
        "YAML of named cases to run (default: those in the bundle); one that fails "
        "makes the exit code 1",
        unit="file",
        local=True,
    )
    attach: bool = setting(
        False, "store these named cases in the bundle, to be run before it serves", local=True
    )
    out: Path | None = setting(
        None,
        "write a report: index.html, the same as report.json, and card.md",
        unit="folder",
        local=True,
    )
    slice_by: tuple[str, ...] = setting(
        (),
        "measure each value of a column separately, as in system; may be repeated",
        title="Slice by columns",
        unit="column",
    )
    separator: str | None = setting(
        None,
        "what separates alternatives in the ground truth or the columns of answers, as / or ;",
        unit="sep",
    )
    correct: str | None = setting(
        None,
        "column of correct answers (default: the ground truth)",
        title="Column of correct answers",
        unit="column",
    )
    incorrect: str | None = setting(
        None,
        "column of incorrect answers, for TruthfulQA's measure",
        title="Column of incorrect answers",
        unit="column",
    )
    metric: tuple[str, ...] = setting(
        (),
        "a Python function of your own to compare with: a dictionary of columns in, a "
        "number out, higher is better; may be repeated",
        unit="module:function",
        local=True,
    )

    @model_validator(mode="after")
    def _check_combinations(self) -> EvaluateRequest:
        if self.attach and self.cases is None:
            raise UsageError(
                "stores named cases", field="attach", remedy="name their file with {cases}"
            )
        if self.data is None and self.out is not None:
            raise UsageError("needs rows to measure on", field="out", remedy="give {data}")
        if isinstance(self.data, StoredData):
            # A data set's report is always written, into the job's folder.
            if self.out is not None:
                raise UsageError("is for rows in files", field="out")
            return self
        for name in _FOR_THE_REPORT:
            if getattr(self, name) and self.out is None:
                raise UsageError(
                    "is for the report", field=name, remedy="name its folder with {out}"
                )
        return self


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation measured.

    Attributes:
        outcomes: Of the named cases.
        subject: The bundle with its predictions; None where there were no rows.
        metrics: On the rows; None where there were none.
        report: The report's page; None where no report was asked for.
    """

    outcomes: Sequence[Outcome]
    subject: Subject | None = None
    metrics: Metrics | None = None
    report: Path | None = None


def evaluate(
    request: EvaluateRequest,
    rows: RowSource | None,
    reporter: Reporter,
    *,
    title: str = "",
) -> Evaluation:
    """Scores rows and named cases through the server's code, and writes the report.

    Args:
        request: What to measure.
        rows: Reads the request's rows; None where it names none.
        reporter: Takes what to know before believing the numbers.
        title: What readers know the bundle as; its folder when empty.

    Raises:
        UsageError: There are neither rows nor named cases.
        DataError: A column is missing, or the cases can't be read.
        BundleError: The bundle is damaged.
        ReportError: The report's folder can't be written, or holds other files.
    """
    from tipstaff_server.evaluator.bundle import Bundle
    from tipstaff_server.evaluator.cases import bundle_cases, run_cases
    from tipstaff_trainer.data.cases import read_cases
    from tipstaff_trainer.export.bundle_writer import attach_cases
    from tipstaff_trainer.operations.subject import Subject, load_evaluator
    from tipstaff_trainer.report.page import check_folder

    if request.out is not None:
        check_folder(request.out)
    bundle = Bundle.open(request.bundle)
    cases = read_cases(request.cases) if request.cases else bundle_cases(bundle) or ()
    if rows is None and not cases:
        raise UsageError(
            "there are neither rows to measure on nor named cases to run",
            remedy="give {data}, {cases} or both",
        )
    evaluator = load_evaluator(request.bundle, precision=request.precision)
    outcomes = run_cases(evaluator, cases)
    if request.attach:
        attach_cases(request.bundle, cases)
    if rows is None:
        return Evaluation(outcomes)

    from tipstaff_trainer.evaluation.metrics import classification_metrics
    from tipstaff_trainer.evaluation.scored import ScoredRows

    data = rows()
    baselines = _baseline_values(request, data) if request.out else {}
    scored = ScoredRows.score(evaluator, data.rows)
    subject = Subject(title or str(request.bundle), bundle, evaluator, scored)
    metrics = classification_metrics([row.label for row in data.rows], scored.scores)
    warnings = _warn(subject, data, baselines, reporter)
    report = None
    if request.out is not None:
        report = _write_report(request, request.out, subject, data, outcomes, baselines, warnings)
    return Evaluation(outcomes, subject, metrics, report)


def _warn(
    subject: Subject, data: Data, baselines: Mapping[str, Floats], reporter: Reporter
) -> list[str]:
    """Reports what to know before believing the numbers; returns it for the report."""
    from tipstaff_trainer.evaluation.baselines import gaps

    notices = [*subject.notices(data), *subject.known_rows(data)]
    for notice in notices:
        reporter.warn(notice.message, remedy=notice.remedy)
    about_baselines = gaps(baselines)
    for message in about_baselines:
        reporter.warn(message)
    return [*data.warnings, *map(str, notices), *about_baselines]


def _baseline_values(request: EvaluateRequest, data: Data) -> dict[str, Floats]:
    """Each cheap metric's value for each row; mistakes are found before anything is scored."""
    from tipstaff_trainer.evaluation.baselines import metric_values
    from tipstaff_trainer.evaluation.reference_metrics import custom_metric, reference_metrics
    from tipstaff_trainer.evaluation.slices import check_columns

    answers = [name for name in (request.correct, request.incorrect) if name not in (None, *FIELDS)]
    check_columns(data.rows, [*request.slice_by, *filter(None, answers)])
    metrics = reference_metrics(
        separator=request.separator, correct=request.correct, incorrect=request.incorrect
    ) | {name: custom_metric(name) for name in request.metric}
    return metric_values(data.rows, metrics)


def _write_report(
    request: EvaluateRequest,
    folder: Path,
    subject: Subject,
    data: Data,
    outcomes: Sequence[Outcome],
    baselines: Mapping[str, Floats],
    warnings: Sequence[str],
) -> Path:
    from tipstaff_trainer.distil.run_folder import metrics_file
    from tipstaff_trainer.evaluation.contents import make_report
    from tipstaff_trainer.evaluation.latency import measure_latency
    from tipstaff_trainer.evaluation.learning import learning_curves
    from tipstaff_trainer.report.page import write_report

    report = make_report(
        subject.evaluator,
        subject.scored,
        bundle=subject.title,
        data=data.file,
        slice_by=request.slice_by,
        warnings=warnings,
        cases=outcomes,
        metrics=baselines,
        latency=measure_latency(subject.evaluator)[0],
        learning=learning_curves(metrics_file(request.bundle)),
    )
    return write_report(report, folder)
