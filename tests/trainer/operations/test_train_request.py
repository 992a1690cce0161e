"""A training request is checked before anything is read or imported."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tipstaff.errors import UsageError
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.operations.sources import FileData, StoredData
from tipstaff_trainer.operations.train import TrainRequest, read_training_rows
from tipstaff_trainer.progress import Reporter


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [{"output": f"answer {index}", "label": index % 2} for index in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def request(**given):
    return TrainRequest.parse({"name": "colours", **given})


def test_a_request_survives_its_row_in_a_job(tmp_path):
    cases = tmp_path / "cases.yaml"
    cases.write_text("- {name: one, expect: pass, output: red}")
    first = request(
        data=StoredData(dataset=3, criterion="faithful"), cases=str(cases), size="small", epochs=2
    )
    assert first.cases == (Case(name="one", expect="pass", output="red"),)
    assert TrainRequest.parse(first.model_dump(mode="json")) == first


def test_the_settings_of_a_run_are_those_of_its_request():
    settings = TrainSettings(epochs=2, seed=4)
    resolved = request(**settings.model_dump()).resolve(rows=100, hidden_size=32)
    assert resolved == settings.resolve(rows=100, hidden_size=32)
    assert list(resolved.model_dump()) == list(TrainSettings.model_fields)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": "My Evaluator"}),
        ("epochs", {"epochs": 0}),
        ("precisions", {"precisions": ()}),
        ("test_file", {"test_size": 0.2, "test_file": "rows.jsonl"}),
        ("unlabelled", {"unlabelled": "rows.jsonl"}),
        ("teacher", {"teacher": "."}),
        ("teacher", {"teacher": "nowhere", "size": "small"}),
        ("cases", {"cases": "nowhere.yaml"}),
        ("test_size", {"test_size": 0.2, "data": {"dataset": 1}}),
        ("relabel", {"relabel": True, "data": {"data": "rows.jsonl"}}),
    ],
)
def test_a_mistake_names_its_field(field, given, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    with pytest.raises(UsageError) as error:
        request(**given)
    assert error.value.field == field


def test_rows_are_read_split_and_narrowed(file):
    given = request(data=FileData(data=file), test_size=0.25, unlabelled=file, size="small")
    rows = read_training_rows(given, Reporter())
    assert (len(rows.train), len(rows.test), len(rows.unlabelled)) == (30, 10, 40)
    assert rows.fields == ("output",)


def test_a_request_is_checked_without_torch():
    script = "import sys, tipstaff_trainer.operations.train; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
