from __future__ import annotations

import signal

import pytest
from sqlalchemy import select
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.operations import runner


@pytest.fixture
def queued(workspace, monkeypatch):
    """Jobs are recorded, and no process is started for them."""
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)


@pytest.fixture
def run_job(workspace, queued):
    """Runs a queued job as its process does; returns the job afterwards."""
    handler = signal.getsignal(signal.SIGTERM)

    def run_job(job):
        runner.main(str(workspace.folder), job.id)
        with workspace.stores.database.reading() as session:
            return session.scalars(select(Job).where(Job.id == job.id)).one()

    yield run_job
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def judged(workspace, dataset):
    """The data set's labels by faithfulness: a person's label of each of the first 20 rows."""
    labels = workspace.add_criterion(dataset, "faithfulness")
    with workspace.stores.database.writing() as session:
        for row in workspace.stores.datasets.page(labels).rows[:20]:
            new = NewLabel(float(row.extra["system"] == "a"), "human", "ann")
            record(session, row.id, "faithfulness", new)
    return workspace.label_set(dataset)


@pytest.fixture
def versions(workspace, tmp_path):
    """Two versions of the evaluator tiny; none is online."""
    for seed in (1, 2):
        repository.publish(make_bundle(tmp_path / str(seed), seed=seed), workspace.repository)
