"""What a job's process does, and how it says what went wrong."""

from __future__ import annotations

import pytest
from judge_server import Behaviour, JudgeServer
from running_server import wait_until
from tiny_bundle import make_bundle

from tipstaff_server import repository
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_trainer.errors import OtherRunError
from tipstaff_trainer.operations.train import Trained
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.operations import runner


def add_job(workspace, kind, parameters):
    with workspace.stores.database.writing() as session:
        job = Job(kind=kind, title="x", parameters=parameters)
        session.add(job)
    return job


@pytest.mark.parametrize("kind", ["label", "score", "train", "evaluate"])
@pytest.mark.parametrize("parameters", [{}, {"request": {}, "rows": None}])
def test_a_job_of_an_older_tipstaff_fails_in_words(workspace, run_job, kind, parameters):
    job = run_job(add_job(workspace, kind, parameters))
    assert job.state == "failed"
    if not parameters:
        assert job.message == (
            "another version of Tipstaff started this job, and it can't be resumed; start a new one"
        )
    assert "internal error" not in job.message


def test_a_job_without_what_was_chosen_fails_in_words(workspace, dataset, judged, run_job):
    started = workspace.score_dataset(dataset, None)
    old = add_job(workspace, "score", {"request": started.parameters["request"]})
    assert "another version of Tipstaff" in run_job(old).message


@pytest.mark.usefixtures("versions")
def test_a_version_that_was_archived_since_can_not_be_measured(workspace, dataset, judged, run_job):
    measure = workspace.evaluate_dataset(
        dataset, "tiny", versions=[2, 1], part="", wait_for_completion=False
    )
    score = workspace.score_dataset(dataset, "tiny", version=1)
    workspace.archive_version("tiny", 1)
    for job in (measure, score):
        failed = run_job(job)
        assert (failed.state, failed.message) == ("failed", "evaluator 'tiny' has no version 1")


@pytest.mark.usefixtures("versions")
def test_jobs_go_on_when_the_data_set_gets_a_second_criterion(workspace, dataset, judged, run_job):
    measure = workspace.evaluate_dataset(dataset, "tiny", part="", wait_for_completion=False)
    score = workspace.score_dataset(dataset, "tiny")
    workspace.add_criterion(dataset, "toxicity")
    assert run_job(measure).result["measured"]["2"]["n"] == 20
    assert run_job(score).message == "60 rows are scored"
    assert workspace.stores.scores.counts(judged) == {("tiny", 2): 60}


@pytest.mark.usefixtures("versions")
def test_a_report_of_stored_rows_can_be_sliced(workspace, dataset, judged, run_job):
    job = workspace.evaluate_dataset(
        dataset, "tiny", part="", slice_by=["system"], wait_for_completion=False
    )
    done = run_job(job)
    assert done.state == "done", done.message
    report = workspace.stores.jobs.folder(job.id) / "report" / "index.html"
    assert "system" in report.read_text()
    assert not (workspace.folder / "report").exists()


def test_a_resumed_training_is_published_once(
    workspace, dataset, judged, run_job, monkeypatch, tmp_path
):
    trainings = []

    def train(request, rows, out, reporter):
        trainings.append(len(rows().train))
        return Trained.of(Bundle.open(make_bundle(out)), request.cases)

    monkeypatch.setattr("tipstaff_trainer.workspace.operations.run.train", train)
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    job = workspace.fine_tune_model(dataset, model_name="tiny")
    assert run_job(job).message == "tiny version 1 is ready"
    with workspace.stores.database.writing() as session:
        session.get(Job, job.id).state = "failed"
    workspace.add_criterion(dataset, "toxicity")
    done = run_job(workspace.stores.jobs.resume(job.id))
    assert (done.state, done.message) == ("done", "tiny version 1 is ready")
    assert trainings == [20]
    assert [each.version for each in workspace.list_evaluators()] == [1]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("x"), "an internal error of Tipstaff, see the log: ValueError"),
        (OSError("no space left"), "no space left"),
    ],
)
def test_an_unforeseen_error_fails_the_job(
    workspace, dataset, judged, run_job, monkeypatch, capsys, error, message
):
    def fail(*_):
        raise error

    monkeypatch.setattr(runner, "run", fail)
    job = run_job(workspace.score_dataset(dataset, None))
    assert (job.state, job.message) == ("failed", message)
    assert f"error: {message}" in capsys.readouterr().out


def test_a_stopped_labelling_is_resumed_and_pays_nothing_twice(workspace, dataset):
    with JudgeServer(Behaviour(delay=0.05)) as judge:
        settings = {"model": "judge-1", "base_url": judge.url, "concurrency": 1}
        job = workspace.label_dataset(dataset, criterion="answer-correctness", **settings)
        wait_until(lambda: workspace.stores.jobs.get(job.id).done >= 5, 60)
        stopped = workspace.stores.jobs.stop(job.id)
        assert stopped.message.startswith("stopped; ")
        assert stopped.message.endswith("rows are labelled so far")
        count = workspace.label_set(dataset).judge
        assert stopped.result["labelled"] == count < 60
        # Another criterion is no reason to label by it.
        workspace.add_criterion(dataset, "toxicity")
        judge.behaviour.delay = 0.0
        done = workspace.wait_for(workspace.stores.jobs.resume(job.id), timeout=60)
    assert done.message == "60 of 60 rows are labelled"
    assert workspace.label_set(dataset, "answer-correctness").judge == 60
    assert workspace.label_set(dataset, "toxicity").judge == 0
    assert judge.behaviour.seen == len(judge.behaviour.calls)


def fake_training(monkeypatch, train):
    monkeypatch.setattr("tipstaff_trainer.workspace.operations.run.train", train)


def test_a_training_is_done_although_the_online_version_is_damaged(
    workspace, dataset, judged, run_job, monkeypatch, tmp_path
):
    repository.publish(make_bundle(tmp_path / "1"), workspace.repository, promote=True)
    for file in repository.bundle_path(workspace.repository, "tiny", 1).glob("*.onnx"):
        file.write_text("damaged")
    workspace.split(dataset, test_size=0.5)

    def train(request, rows, out, reporter):
        return Trained.of(Bundle.open(make_bundle(out, seed=1)), request.cases)

    fake_training(monkeypatch, train)
    job = workspace.fine_tune_model(dataset, model_name="tiny")
    done = run_job(job)
    assert (done.state, done.message) == ("done", "tiny version 2 is ready")
    assert done.result["versions"] == [2]
    assert list(done.result["measured"]) == ["2"]


def test_a_training_whose_labels_changed_begins_anew(
    workspace, dataset, judged, run_job, monkeypatch, capsys
):
    restarts = []

    def train(request, rows, out, reporter):
        restarts.append(request.restart)
        if not request.restart:
            raise OtherRunError("other rows", field="out", remedy="add {restart} to discard it")
        return Trained.of(Bundle.open(make_bundle(out)), request.cases)

    fake_training(monkeypatch, train)
    done = run_job(workspace.fine_tune_model(dataset, model_name="tiny"))
    assert (done.state, restarts) == ("done", [False, True])
    printed = capsys.readouterr().out
    assert "the rows or labels have changed since it was interrupted: it begins anew" in printed
    assert "restart" not in printed.casefold()
