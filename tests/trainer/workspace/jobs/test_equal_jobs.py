"""Equal jobs: one at a time, however they are started or resumed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS


@pytest.fixture
def labels(workspace, dataset, monkeypatch):
    """Labels of both kinds; jobs are recorded, and no process is started for them."""
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    labels = workspace.add_criterion(dataset, "faithfulness")
    with workspace.stores.database.writing() as session:
        for row in workspace.stores.datasets.page(labels).rows[:20]:
            label = NewLabel(float(row.extra["system"] == "a"), "human", "ann")
            record(session, row.id, "faithfulness", label)
    return workspace.label_set(dataset)


def end(workspace, job, state):
    with workspace.stores.database.writing() as session:
        session.get(Job, job.id).state = state


def test_two_equal_trainings_are_one_job(workspace, dataset, labels):
    first = workspace.fine_tune_model(dataset, model_name="a", epochs=2)
    assert workspace.fine_tune_model(dataset, model_name="a", epochs=2).id == first.id
    others = [
        workspace.fine_tune_model(dataset, model_name="a", epochs=3),
        workspace.fine_tune_model(dataset, model_name="b", epochs=2),
    ]
    assert len({first.id, *(each.id for each in others)}) == 3
    end(workspace, first, "failed")
    assert workspace.fine_tune_model(dataset, model_name="a", epochs=2).id != first.id
    with pytest.raises(WorkspaceError, match=r"job \d+ \(Train a on traces\) does the same"):
        workspace.stores.jobs.resume(first.id)


def test_trainings_that_are_started_at_once_are_one_job(workspace, dataset, labels, monkeypatch):
    monkeypatch.setattr(
        "tipstaff_trainer.workspace.jobs.store.Jobs._launch", lambda self, job: self.get(job)
    )
    others = [Workspace(workspace.folder) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        ids = list(
            pool.map(lambda each: each.fine_tune_model(dataset.id, model_name="a").id, others)
        )
    for each in others:
        each.close()
    assert len(set(ids)) == 1


def test_a_scoring_is_not_resumed_beside_one_with_the_same_scorer(workspace, dataset, labels):
    first = workspace.score_dataset(dataset, None)
    end(workspace, first, "stopped")
    second = workspace.score_dataset(dataset, None)
    assert second.id != first.id
    with pytest.raises(WorkspaceError, match=f"job {second.id} .* does the same already"):
        workspace.stores.jobs.resume(first.id)
    end(workspace, second, "done")
    assert workspace.stores.jobs.resume(first.id).state == "queued"


def test_a_row_that_is_scored_twice_keeps_its_first_score(workspace, labels):
    row, other, *_ = workspace.stores.datasets.rows(labels)
    workspace.stores.scores.add(labels, OTHER_ROWS, {row.id: 0.25})
    workspace.stores.scores.add(labels, OTHER_ROWS, {row.id: 0.75, other.id: None})
    assert workspace.stores.scores.counts(labels) == {OTHER_ROWS: 2}
    unscored = {each.id for each in workspace.stores.scores.unscored(labels, OTHER_ROWS)}
    assert not unscored & {row.id, other.id}
