"""Measuring as a job: versions of an evaluator on a data set's labelled rows, as served."""

from __future__ import annotations

from typing import Any

from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.measure import rulings
from tipstaff_trainer.report.metrics import classification_metrics
from tipstaff_trainer.workspace.tables import Job
from tipstaff_trainer.workspace.workspace import Workspace


def run(workspace: Workspace, job: Job) -> tuple[str, dict[str, Any]]:
    """Scores the rows with each version."""
    given = job.parameters
    name, part = given["name"], given["part"]
    rows = workspace.datasets.labelled(int(given["dataset"]), part=part)
    if given["human"]:
        rows = [row for row in rows if row.label_source == "human"]
    if not rows:
        raise DataError(
            f"no row of the data set's {part or 'rows'} has a label"
            + (" of a person's" if given["human"] else "")
            + ": label some first, or measure on other rows"
        )
    labels = [row.label for row in rows]
    measured = {}
    for done, version in enumerate(given["versions"]):
        workspace.jobs.update(job.id, done=done, total=len(given["versions"]))
        evaluator = Evaluator.load(repository.bundle_path(workspace.repository, name, version))
        scored = rulings(evaluator, [row.interaction for row in rows])
        measured[str(version)] = classification_metrics(labels, [each.score for each in scored])
    return f"measured on {len(rows)} rows", {"name": name, "metrics": measured}
