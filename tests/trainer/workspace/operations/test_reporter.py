"""What a job reports: in its log, and in its row."""

from __future__ import annotations

import pytest

from tipstaff_server.request_fields import field_titles
from tipstaff_trainer.operations.label import LabelRequest
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.operations import reporter as reporter_module
from tipstaff_trainer.workspace.operations.reporter import JobReporter


@pytest.fixture
def job(workspace):
    job = Job(kind="label", title="x", parameters={}, state="queued")
    with workspace.stores.database.writing() as session:
        session.add(job)
    return job


@pytest.fixture
def clock(monkeypatch):
    """The time, which only moves when it is set."""
    times = [100.0]
    monkeypatch.setattr(reporter_module.time, "monotonic", lambda: times[0])
    return times


def progress(workspace, job):
    current = workspace.stores.jobs.get(job.id)
    return current.done, current.total, current.message


def test_steps_are_recorded_every_half_second_and_at_the_end(workspace, job, clock, capsys):
    reporter = JobReporter(workspace.stores.jobs, job.id)
    reporter.step(1, 10, "1 call")
    reporter.step(2, 10, "2 calls")
    assert progress(workspace, job) == (1, 10, "1 call")
    clock[0] += 0.6
    reporter.step(3, 10, "3 calls")
    assert progress(workspace, job) == (3, 10, "3 calls")
    reporter.step(10, 10, "10 calls")
    reporter.step(10, 10, "10 calls")
    assert progress(workspace, job) == (10, 10, "10 calls")
    assert capsys.readouterr().out == "1/10: 1 call\n3/10: 3 calls\n10/10: 10 calls\n"


def test_a_note_is_recorded_with_the_next_step(workspace, job, clock, capsys):
    reporter = JobReporter(workspace.stores.jobs, job.id, field_titles(LabelRequest))
    reporter.step(1, 10)
    reporter.note("the endpoint is slow", remedy="lower {shots}")
    reporter.step(2, 10, "2 calls")
    assert progress(workspace, job) == (2, 10, "2 calls; the endpoint is slow; lower Examples")
    clock[0] += 0.6
    reporter.step(3, 10)
    assert progress(workspace, job) == (3, 10, "")
    assert "the endpoint is slow; lower Examples\n" in capsys.readouterr().out


def test_a_warning_is_for_the_log(workspace, job, clock, capsys):
    JobReporter(workspace.stores.jobs, job.id).warn("no example", remedy="review more rows")
    assert capsys.readouterr().out == "warning: no example; review more rows\n"
    assert progress(workspace, job) == (0, 0, "")


def test_a_job_that_has_ended_stays_as_it_is(workspace, job, clock):
    workspace.stores.jobs.finish(job.id, "stopped", "stopped; it can be resumed")
    JobReporter(workspace.stores.jobs, job.id).step(5, 10, "5 calls")
    assert progress(workspace, job) == (0, 0, "stopped; it can be resumed")
