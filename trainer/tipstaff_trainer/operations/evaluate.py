"""Evaluate: how good an evaluator is on labelled rows, as served.

bundle, rows → predictions → metrics → report; named cases → outcomes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import Outcome, bundle_cases, run_cases
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Data
from tipstaff_trainer.distil.run_folder import metrics_file
from tipstaff_trainer.evaluation.base import Floats, Metrics
from tipstaff_trainer.evaluation.latency import measure_latency
from tipstaff_trainer.evaluation.notices import Notice, training_rows
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.export.bundle_writer import attach_cases
from tipstaff_trainer.operations.sources import FileData, NamedCases, RowSource, StoredData
from tipstaff_trainer.operations.subject import Subject, load_evaluator
from tipstaff_trainer.progress import Reporter

# Fields that only change the report.
_REPORT_FIELDS = ("slice_by", "separator", "correct", "incorrect", "metric")


class EvaluateRequest(Request):
    """What to measure, on which rows, and what the report shows."""

    bundle: Path = setting(description="the bundle's folder")
    data: FileData | StoredData | None = setting(None, "labelled rows to measure on")
    precision: Precision | None = setting(None, "which of its graphs")
    cases: NamedCases | None = setting(
        None,
        "YAML of named cases to run (default: those in the bundle); one that fails makes the exit "
        "code 1",
        unit="file",
        local=True,
    )
    attach: bool = setting(
        False, "store these named cases in the bundle, to be run before it serves", local=True
    )
    out: Path | None = setting(
        None, "write a report: index.html, the same as report.json, and card.md", unit="folder"
    )
    slice_by: tuple[str, ...] = setting(
        (), "column whose values are measured separately, as system; may be repeated", unit="column"
    )
    separator: str | None = setting(
        None, "what separates alternative answers in one cell, as / or ;", unit="sep"
    )
    correct: str | None = setting(
        None, "column of correct answers (default: the ground truth)", unit="column"
    )
    incorrect: str | None = setting(
        None, "column of incorrect answers, for TruthfulQA's measure", unit="column"
    )
    metric: tuple[str, ...] = setting(
        (),
        "a Python function of yours to compare with: it takes a dictionary of columns and returns "
        "a number, higher for better; may be repeated",
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
        for name in _REPORT_FIELDS:
            if getattr(self, name) and self.out is None:
                raise UsageError(
                    "is for the report", field=name, remedy="name its folder with {out}"
                )
        return self


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation measured.

    Attributes:
        outcomes: The outcomes of the named cases.
        subject: The bundle with its predictions; None without rows.
        metrics: The metrics on the rows; None without rows.
        report: The report's page; None without a report.
    """

    outcomes: Sequence[Outcome]
    subject: Subject | None = None
    metrics: Metrics | None = None
    report: Path | None = None


def evaluate(
    request: EvaluateRequest, rows: RowSource | None, reporter: Reporter, *, title: str = ""
) -> Evaluation:
    """Scores rows and named cases through the server's code, and writes the report.

    Args:
        request: What to measure.
        rows: Reads the request's rows; None where it names none.
        reporter: Takes warnings about what limits the numbers.
        title: The bundle's name for readers; its folder when empty.

    Raises:
        UsageError: There are neither rows nor named cases.
        DataError: A column is missing.
        BundleError: The bundle is damaged.
        ReportError: The report's folder can't be written, or holds other files.
    """
    # Imported here, since scikit-learn and matplotlib take seconds.
    from tipstaff_trainer.evaluation.baselines import gaps
    from tipstaff_trainer.evaluation.contents import make_report
    from tipstaff_trainer.evaluation.learning import learning_curves
    from tipstaff_trainer.evaluation.metrics import classification_metrics
    from tipstaff_trainer.report.page import check_folder, write_report

    if request.out is not None:
        check_folder(request.out)
    bundle = Bundle.open(request.bundle)
    cases = bundle_cases(bundle) or () if request.cases is None else request.cases
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

    data = rows()
    baselines = _baseline_values(request, data) if request.out else {}
    scored = ScoredRows.score(evaluator, data.rows)
    subject = Subject(title or str(request.bundle), bundle, evaluator, scored)
    metrics = classification_metrics(scored.labels, scored.scores)
    notices = [
        *subject.notices(data),
        *training_rows(bundle, data.rows),
        *map(Notice, gaps(baselines)),
    ]
    for notice in notices:
        reporter.warn(notice.message, remedy=notice.remedy)
    if request.out is None:
        return Evaluation(outcomes, subject, metrics)
    report = make_report(
        evaluator,
        scored,
        bundle=subject.title,
        data=data.file,
        slice_by=request.slice_by,
        warnings=[*data.warnings, *map(str, notices)],
        cases=outcomes,
        metrics=baselines,
        latency=measure_latency(evaluator)[0],
        learning=learning_curves(metrics_file(request.bundle)),
    )
    return Evaluation(outcomes, subject, metrics, write_report(report, request.out))


def _baseline_values(request: EvaluateRequest, data: Data) -> dict[str, Floats]:
    """Each cheap metric's value for each row; fails on a mistake before anything is scored."""
    from tipstaff_trainer.evaluation.baselines import metric_values
    from tipstaff_trainer.evaluation.reference_metrics import custom_metric, reference_metrics
    from tipstaff_trainer.evaluation.slices import check_columns

    answers = [name for name in (request.correct, request.incorrect) if name not in (None, *FIELDS)]
    check_columns(data.rows, [*request.slice_by, *filter(None, answers)])
    metrics = reference_metrics(
        data.rows,
        separator=request.separator,
        correct=request.correct,
        incorrect=request.incorrect,
    )
    metrics |= {name: custom_metric(name) for name in request.metric}
    return metric_values(data.rows, metrics)
