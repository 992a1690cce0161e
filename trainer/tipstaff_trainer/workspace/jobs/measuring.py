"""Versions measured side by side, with the report and the comparison that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.comparison import compare, side
from tipstaff_trainer.evaluation.contents import doubts, make_report
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.report.comparison_page import write_comparison
from tipstaff_trainer.report.page import write_report
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.job_calls import COMPARISON_FOLDER, REPORT_FOLDER
from tipstaff_trainer.workspace.workspace import Workspace


def measure(
    workspace: Workspace,
    job: Job,
    name: str,
    versions: Sequence[int],
    rows: Sequence[Row],
    *,
    data: str,
) -> dict[str, Any]:
    """Scores rows with one or two versions, through the server's code.

    Writes a report on the first into the job's folder and, where there is a second, how the first
    compares with it.

    Args:
        workspace: Whose repository they are in.
        job: Whose folder the report goes to.
        name: The evaluator's.
        versions: Which; the second is the one to compare with.
        rows: At least one, with labels.
        data: What the rows are called.

    Returns:
        Each version's metrics, by version as text.
    """
    evaluators, scored = [], []
    for version in versions:
        path = repository.bundle_path(workspace.repository, name, version)
        evaluators.append(Evaluator.load(path))
        scored.append(ScoredRows.score(evaluators[-1], rows))
    titles = [f"{name} version {version}" for version in versions]
    folder = workspace.jobs.folder(job.id)
    report = make_report(
        evaluators[0],
        scored[0],
        bundle=titles[0],
        data=data,
        warnings=doubts(scored[0], evaluators[0].graph),
    )
    write_report(report, folder / REPORT_FOLDER)
    if len(versions) > 1:
        newer, older = (
            side(evaluator, part, bundle=title)
            for evaluator, part, title in zip(evaluators[:2], scored, titles, strict=False)
        )
        comparison = compare((older, newer), (scored[1], scored[0]), data=data)
        write_comparison(comparison, folder / COMPARISON_FOLDER)
    labels = [row.label for row in rows]
    return {
        str(version): classification_metrics(labels, part.scores)
        for version, part in zip(versions, scored, strict=True)
    }
