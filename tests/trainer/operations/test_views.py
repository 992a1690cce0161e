"""A field that is added once, to an operation's request, appears in all four of its views."""

from __future__ import annotations

import json

import pytest
from desk_forms import LOCAL, hidden
from pydantic import create_model
from starlette.testclient import TestClient

from tipstaff.cli import main
from tipstaff.errors import UsageError
from tipstaff_server.requests import setting
from tipstaff_trainer.cli import label as label_command
from tipstaff_trainer.cli import train as train_command
from tipstaff_trainer.desk.app import build
from tipstaff_trainer.desk.pages import evaluators, labelling
from tipstaff_trainer.desk.settings import DeskSettings
from tipstaff_trainer.operations import label, train
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace import workspace as workspace_module
from tipstaff_trainer.workspace.jobs.store import Jobs

WIDGETS = setting(
    3, "widgets to use for each row", title="Widgets per row", unit="widgets", ge=1, le=9
)
JUDGE = {"model": "judge-1", "base_url": "http://127.0.0.1:9/v1", "key_variable": ""}


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = (
        {"input": "Why?", "output": f"reason {index}", "label": index % 2} for index in range(40)
    )
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture
def workspace(tmp_path, rows, monkeypatch):
    """A workspace with a data set, whose jobs get their rows but no processes."""
    monkeypatch.setattr(Jobs, "_launch", Jobs.get)
    workspace = Workspace(tmp_path / "workspace")
    workspace.upload_dataset(rows, criterion="relevance")
    yield workspace
    workspace.close()


@pytest.fixture
def browser(workspace):
    return TestClient(build(workspace, DeskSettings()), base_url=LOCAL)


@pytest.fixture(params=["label", "train"])
def operation(request, monkeypatch):
    """An operation whose request has one field more."""
    name, operation, views = {
        "label": ("LabelRequest", label, (label_command, labelling)),
        "train": ("TrainRequest", train, (train_command, evaluators)),
    }[request.param]
    more = create_model(name, __base__=getattr(operation, name), widgets=(int, WIDGETS))
    for module in (operation, *views, workspace_module):
        monkeypatch.setattr(module, name, more)
    return request.param


def start(operation, workspace, **settings):
    dataset = workspace.stores.datasets.all()[0]
    if operation == "label":
        return workspace.label_dataset(dataset, **JUDGE, **settings)
    return workspace.fine_tune_model(dataset, model_name="helpful", **settings)


def submit(operation, browser, **fields):
    """Gets an operation's form, and sends it with these fields."""
    if operation == "label":
        page = browser.get("/datasets/1/label")
        values = JUDGE | {"action": "start", "rows": "all", "criterion": "relevance"}
    else:
        page = browser.get("/evaluators")
        values = {"dataset": "1/relevance", "name": "helpful", "columns": "output"}
    return page, browser.post(page.url, data=hidden(page.text) | values | fields)


def test_the_command_has_a_flag_for_it(operation, capsys):
    with pytest.raises(SystemExit):
        main([operation, "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    assert "--widgets WIDGETS widgets to use for each row (default: 3)" in help_text


def test_what_is_typed_reaches_the_request(operation, rows, tmp_path, capsys):
    words = {
        "label": ("--criterion", "relevance", "--judge-model", "judge-1"),
        "train": ("--name", "helpful"),
    }[operation]
    typed = ("--out", str(tmp_path / "out"), "--widgets", "10")
    assert main([operation, str(rows), *words, *typed]) == 2
    error = capsys.readouterr().err
    assert "--widgets 10: Input should be less than or equal to 9" in error


def test_the_form_shows_it_and_what_it_submits_reaches_the_jobs_row(operation, workspace, browser):
    page, _ = submit(operation, browser, widgets="7")
    assert 'name="widgets"' in page.text
    assert "Widgets per row" in page.text
    assert "widgets to use for each row" in page.text.lower()
    (job,) = workspace.stores.jobs.recent(kind=operation)
    assert job.parameters["request"]["widgets"] == 7


def test_the_form_names_it_in_a_mistake(operation, workspace, browser):
    _, reply = submit(operation, browser, widgets="10")
    assert "Widgets per row 10: Input should be less than or equal to 9" in reply.text
    assert not workspace.stores.jobs.recent()


def test_it_is_an_argument_of_the_workspace_and_in_the_jobs_row(operation, workspace):
    assert start(operation, workspace, widgets=5).parameters["request"]["widgets"] == 5
    assert start(operation, workspace).parameters["request"]["widgets"] == 3
    with pytest.raises(UsageError) as error:
        start(operation, workspace, widgets=0)
    assert (error.value.field, error.value.value) == ("widgets", "0")
