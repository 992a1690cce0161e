"""The calls of the hosted product's client run as its page shows them."""

from __future__ import annotations

import inspect
import re
import signal
from pathlib import Path

import pandas as pd
import pytest
from judge_server import JudgeServer
from tiny_bundle import make_bundle
from tiny_training import tiny_base

from tipstaff_server import repository
from tipstaff_trainer import Metric, Workspace, example_dataset
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.operations.train import train
from tipstaff_trainer.workspace.db.models import Job
from tipstaff_trainer.workspace.jobs.store import Jobs
from tipstaff_trainer.workspace.labels.criteria import check_columns, preview
from tipstaff_trainer.workspace.operations import runner

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "hosted-client.md"


@pytest.fixture
def at_once(monkeypatch):
    """Jobs run in this process when they are started: another would take longer to start."""
    handler = signal.getsignal(signal.SIGTERM)
    folders = []

    def launch(jobs, job):
        job_id = getattr(job, "id", job)
        runner.main(str(folders[0]), job_id)
        return jobs.get(job_id)

    monkeypatch.setattr(Jobs, "_launch", launch)
    yield folders
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def tiny_training(tmp_path, monkeypatch):
    """The defaults, but a tiny encoder for one epoch: what counts here is the way through."""
    base = tiny_base("bert", tmp_path / "base")

    def small(request, *others):
        # It can't read the examples' words, which is told and refused elsewhere.
        changes = {"base": str(base), "epochs": 1, "allow_unreadable": True}
        return train(request.model_copy(update=changes), *others)

    monkeypatch.setattr("tipstaff_trainer.workspace.operations.run.train", small)


@pytest.mark.usefixtures("tiny_training")
def test_the_page_s_code_runs_as_it_is_written(tmp_path, monkeypatch, at_once):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    at_once.append(tmp_path / "workspace")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    with JudgeServer() as server:
        code = "\n".join(blocks).replace("http://localhost:8000/v1", server.url)
        exec(compile(code, PAGE.name, "exec"), names)
    workspace, scored = names["workspace"], names["scored"]
    assert isinstance(workspace, Workspace)
    assert repr(workspace.list_datasets()[-1]).startswith(
        "Dataset(id=1, name='Support answers', 60 rows, "
    )
    assert [each.criterion for each in workspace.list_datasets()[-1].label_sets] == [
        "faithfulness",
        "kindness",
    ]
    (version,) = workspace.list_evaluators()
    assert version.name == "my-custom-evaluation-metric"
    assert version.manifest.fields == ("input", "output")
    assert version.manifest.quality["test"].n == 30
    assert isinstance(scored, pd.DataFrame)
    assert scored["my-custom-evaluation-metric_score"].between(0, 1).all()
    workspace.close()


def test_examples_and_metrics_that_do_not_exist_are_named(workspace):
    with pytest.raises(WorkspaceError, match="there are feedback-test, feedback-train, support"):
        example_dataset("none")
    with pytest.raises(WorkspaceError, match="no evaluator 'some-metric'"):
        workspace.evaluate_data(pd.DataFrame({"output": ["a"]}), [Metric(name="Some Metric")])


@pytest.mark.parametrize(
    "name",
    [
        "faithfulness",
        "Relevance",
        "answer correctness",
        "summarisation",
        "summarization",
        "toxicity",
    ],
)
def test_built_in_metrics_go_by_their_names(workspace, name):
    found = workspace.stores.criteria.of_template(name)
    assert found == name.casefold().replace(" ", "-").replace("z", "s")


def test_a_prompt_may_name_columns_as_the_file_does(workspace):
    frame = pd.DataFrame({"model_input": ["q"], "model_output": ["paris"], "tier": ["gold"]})
    dataset = workspace.upload_dataset(frame, name="As they call it")
    name = workspace.stores.criteria.of_template(
        "Is {model_output} right for {model_input}? Tier: {tier}", "rightness"
    )
    criterion = workspace.stores.criteria.get(name)
    check_columns(criterion, dataset)
    (row,) = workspace.stores.datasets.rows(workspace.label_set(dataset))
    question = preview(criterion, row)
    assert "<model_output>\nparis\n</model_output>" in question
    assert "<model_input>\nq\n</model_input>" in question


def test_what_the_calls_return_is_readable(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "bundle", name="my-metric"), workspace.repository)
    assert repr(workspace.list_evaluators()[0]).startswith(
        "EvaluatorVersion(name='my-metric', version=1, serving=False"
    )
    assert len(repr(workspace.list_evaluators()[0])) < 200
    assert repr(Metric(name="My Metric")) == "Metric(name='My Metric', version=None)"
    job = Job(id=1, kind="train", title="Train my-metric", state="done")
    assert repr(job).startswith("Job(id=1")


def test_the_names_of_the_arguments_are_those_of_the_hosted_calls():
    for call, names in {
        "upload_dataset": ("file_path", "name", "description"),
        "download_dataset": ("dataset_id",),
        "label_dataset": ("dataset_id", "prompt_template", "wait_for_completion"),
        "wait_for_label_dataset_job": ("job_id",),
        "fine_tune_model": (
            *("train_dataset_id", "test_dataset_id", "model_name"),
            *("selected_columns", "wait_for_completion"),
        ),
        "wait_for_fine_tune_job": ("job_id",),
        "evaluate_dataset": ("dataset_id", "metric"),
        "evaluate_data": ("data", "metrics"),
        "list_datasets": (),
    }.items():
        assert set(names) <= set(inspect.signature(getattr(Workspace, call)).parameters), call
