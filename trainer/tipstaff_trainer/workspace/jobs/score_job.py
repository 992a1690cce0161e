"""Scoring as a job: what an evaluator's version, or the other rows, say of each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.workspace.db.models import Job, LabelSet
from tipstaff_trainer.workspace.db.rows import to_data_row, to_interaction
from tipstaff_trainer.workspace.labels.label_sets import choose_label_set
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS, ScoredBy
from tipstaff_trainer.workspace.workspace import Workspace

_AT_ONCE = 500
Scores = dict[int, float | None]


def run(workspace: Workspace, job: Job) -> tuple[str, dict[str, Any]]:
    """Scores the rows that have no score of this version yet, and keeps what comes."""
    given = job.parameters
    found = workspace.datasets.get(int(given["dataset"]))
    by = str(given["name"]), int(given["version"])
    # An evaluator says the same by whatever criterion, those included that were added since.
    labels = (
        choose_label_set(found, given.get("judged_by")) if by == OTHER_ROWS else found.label_sets[0]
    )
    if by == OTHER_ROWS:
        # Labels have changed since, perhaps; a version never does.
        workspace.scores.delete(labels, by)
        parts = _by_other_rows(workspace, labels)
    else:
        parts = _by_version(workspace, labels, by)
    total = labels.dataset.rows
    done = workspace.scores.counts(labels).get(by, 0)
    workspace.jobs.update(job.id, done=done, total=total)
    for part in parts:
        workspace.scores.add(labels, by, part)
        done += len(part)
        print(f"{done}/{total}", flush=True)
        workspace.jobs.update(job.id, done=done)
    return f"{total:,} rows are scored", {"name": by[0], "version": by[1]}


def _by_version(workspace: Workspace, labels: LabelSet, by: ScoredBy) -> Iterator[Scores]:
    evaluator = Evaluator.load(repository.bundle_path(workspace.repository, *by))
    fields = evaluator.manifest.fields
    position = -1
    while rows := workspace.scores.unscored(labels, by, after=position, limit=_AT_ONCE):
        position = rows[-1].position
        readable = [row for row in rows if any(getattr(row, name) is not None for name in fields)]
        said = predict_all(evaluator, [to_interaction(row) for row in readable])
        scores: Scores = {row.id: None for row in rows}
        yield scores | {
            row.id: prediction.score for row, prediction in zip(readable, said, strict=True)
        }


def _by_other_rows(workspace: Workspace, labels: LabelSet) -> Iterator[Scores]:
    # Only now: torch takes seconds to import.
    from tipstaff_trainer.label_quality.label_errors import out_of_fold_scores

    rows = list(workspace.datasets.rows(labels))
    labelled = [row for row in rows if row.label is not None]
    scores = out_of_fold_scores([to_data_row(row) for row in labelled])
    said = {row.id: score for row, score in zip(labelled, scores, strict=True)}
    for start in range(0, len(rows), _AT_ONCE):
        yield {row.id: said.get(row.id) for row in rows[start : start + _AT_ONCE]}
