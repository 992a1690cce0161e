"""Measuring as a job: versions of an evaluator on a data set's labelled rows, as served."""

from __future__ import annotations

from typing import Any

from tipstaff_trainer.errors import DataError
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.jobs.measuring import measure
from tipstaff_trainer.workspace.workspace import Workspace


def run(workspace: Workspace, job: Job) -> tuple[str, dict[str, Any]]:
    """Scores the rows with each version."""
    given = job.parameters
    name, part = given["name"], given["part"]
    labels = workspace.label_set(int(given["dataset"]), given.get("judged_by"))
    rows = workspace.datasets.labelled(labels, part=part)
    if given["human"]:
        rows = [row for row in rows if row.label_source == "human"]
    if not rows:
        raise DataError(
            f"no row of the data set's {part or 'rows'} has a label"
            + (" of a person's" if given["human"] else "")
            + ": label some first, or measure on other rows"
        )
    data = f"{labels.title}, {part or 'all'} rows"
    measured = measure(workspace, job, name, given["versions"], rows, data=data)
    return f"measured on {len(rows)} rows", {
        "name": name,
        "versions": given["versions"],
        "measured": measured,
    }
