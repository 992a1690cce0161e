"""`label` as the command and the workspace's jobs call it."""

from __future__ import annotations

import json

import pytest
from judge_rows import Recorder, capitals, row
from judge_server import JudgeServer

from tipstaff.errors import UsageError
from tipstaff_trainer.judge.criteria import load_criterion
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.operations.label import LabelRequest, label, read_api_key

CRITERION = load_criterion("answer-correctness")
STORED = {"model": "judge-1", "data": {"dataset": 1}, "criterion": "answer-correctness"}


@pytest.fixture
def server():
    with JudgeServer() as server:
        yield server


@pytest.fixture
def run(server, tmp_path):
    """Labels some rows, by a request with these fields."""

    def run(rows, on_row=None, **fields):
        request = LabelRequest.parse({"base_url": server.url, **STORED, **fields})
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            return label(request, rows, criterion=CRITERION, ledger=ledger, on_row=on_row)

    return run


@pytest.mark.parametrize("batch", [False, True])
def test_stored_rows_are_handed_on_and_counted(run, batch):
    rows = [*capitals(4), row("Paris [[status 400]]", id="x")]
    handed = []
    result = run(rows, handed.append, batch=batch, soft="verdict", poll_interval=0.05)
    assert {judged.row.id for judged in handed if judged.label is not None} == set("0123")
    assert (result.rows, result.labelled, result.good, result.stopped) == (5, 4, 2, "")
    assert result.kinds == {"verdict": 4}
    if not batch:
        ((reason, count),) = result.failures.items()
        assert ("HTTP 400" in reason, count) == (True, 1)


def test_a_file_s_labels_are_written_in_the_order_of_its_rows(run, tmp_path):
    file, out = tmp_path / "rows.csv", tmp_path / "labels.jsonl"
    file.write_text("output\na\n")
    result = run(capitals(6), data={"data": file}, out=out)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["id"] for record in records] == list("012345")
    assert (result.labelled, result.good) == (6, 3)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key_variable": "DATABASE_URL"}, "key_variable"),
        ({"pilot": True, "only": "unlabelled"}, "pilot"),
        ({"shots": 21}, "shots"),
        ({"max_cost": 1}, "max_cost"),
        ({"api_key": "secret"}, "api_key"),
        ({"base_url": "localhost"}, "base_url"),
        # A data set keeps its labels, replies and examples: no file may be named in vain.
        ({"out": "labels.jsonl"}, "out"),
        ({"ledger": "ledger.sqlite"}, "ledger"),
        ({"examples": __file__}, "examples"),
    ],
)
def test_a_request_that_will_not_do_names_its_field(fields, field):
    with pytest.raises(UsageError) as error:
        LabelRequest.parse({**STORED, **fields})
    assert error.value.field == field


def test_a_job_s_row_brings_the_same_request_back():
    request = LabelRequest.parse({**STORED, "extra_body": {"seed": 1}, "key_variable": ""})
    assert LabelRequest.parse(json.loads(request.model_dump_json())) == request


def test_a_file_may_use_a_key_of_any_name(tmp_path, monkeypatch):
    file = tmp_path / "rows.csv"
    file.write_text("output\na\n")
    fields = {"data": {"data": file}, "out": tmp_path / "labels.jsonl", "key_variable": "MY_KEY"}
    monkeypatch.setenv("MY_KEY", "secret\n")
    request = LabelRequest.parse({**STORED, **fields})
    assert read_api_key(request.key_variable) == "secret"
    assert read_api_key("") is None


def test_steps_tell_what_was_spent(server, tmp_path):
    request = LabelRequest.parse(
        {**STORED, "base_url": server.url, "price_input": 1000, "price_output": 1000}
    )
    messages = []

    class Messages(Recorder):
        def step(self, done, total, message=""):
            messages.append(message)

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        label(request, capitals(2), criterion=CRITERION, ledger=ledger, reporter=Messages())
    assert messages[-1].startswith("2 calls, ")
    assert messages[-1].endswith(" paid")
