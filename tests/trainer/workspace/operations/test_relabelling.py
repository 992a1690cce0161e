"""A training that corrects a judge's labels by people's labels of some of its rows."""

from __future__ import annotations

import json
import random

import pytest

from tipstaff_trainer.encoders import base
from tipstaff_trainer.errors import DataError, WorkspaceError
from tipstaff_trainer.operations.sources import StoredData
from tipstaff_trainer.operations.train import TrainRequest
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.operations.reporter import JobReporter
from tipstaff_trainer.workspace.operations.run import run
from tipstaff_trainer.workspace.operations.stored_rows import read_training_rows

ROWS, REVIEWED = 200, 80


@pytest.fixture
def judged(workspace, tmp_path):
    """A judge that calls nearly every long bad answer good, and is right about short ones."""
    generator = random.Random(0)
    truth = {n: generator.random() < 0.5 for n in range(ROWS)}
    file = tmp_path / "rows.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"id": str(n), "output": "long words " * 20 * (n % 2) + f"w{n}"})
            for n in truth
        )
    )
    labels = workspace.add_criterion(workspace.upload_dataset(file), "faithfulness")
    other = workspace.add_criterion(labels.dataset, "toxicity")
    rows = list(workspace.stores.datasets.rows(labels))
    with workspace.stores.database.writing() as session:
        for n, row in enumerate(rows):
            verdict = True if n % 2 and generator.random() < 0.8 else truth[n]
            record(session, row.id, "faithfulness", NewLabel(float(verdict), "judge", "gpt"))
            new = NewLabel(float(not truth[n]), "human", "ann", "random")
            record(session, row.id, "toxicity", new)
    return labels, other, rows, truth


def review(workspace, judged, count, selection="random"):
    labels, _, rows, truth = judged
    with workspace.stores.database.writing() as session:
        for n, row in list(enumerate(rows))[:count]:
            new = NewLabel(float(truth[n]), "human", "ann", selection)
            record(session, row.id, labels.criterion, new)


def test_the_judge_s_other_labels_become_what_people_would_have_said(
    workspace, judged, bert, monkeypatch, capsys
):
    labels, _, _, truth = judged
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    real = base.find_base
    monkeypatch.setattr(
        "tipstaff_trainer.label_quality.label_errors.find_base", lambda _: real(str(bert))
    )
    trained_on = []

    def stop(request, rows, *_):
        trained_on.extend(rows().train)
        raise InterruptedError

    monkeypatch.setattr("tipstaff_trainer.workspace.operations.run.train", stop)
    review(workspace, judged, REVIEWED)
    workspace.split(labels.dataset, test_size=0.2)
    job = workspace.fine_tune_model(
        labels.dataset, model_name="a", criterion="faithfulness", relabel=True
    )
    with pytest.raises(InterruptedError):
        run(workspace.stores, job, JobReporter(workspace.stores.jobs, job.id))
    test = {row.key for row in workspace.stores.datasets.rows(labels, only="test")}
    assert {row.id for row in trained_on} == {str(n) for n in truth} - test
    by_people = [row for row in trained_on if row.label_source == "human"]
    assert {row.id for row in by_people} == {str(n) for n in range(REVIEWED)} - test
    assert all(row.label == truth[int(row.id)] for row in by_people)
    called_good = [
        row
        for row in trained_on
        if row.label_source == "judge" and judge_label(workspace, labels, row) == 1
    ]
    new_labels = {
        long: [row.label for row in called_good if int(row.id) % 2 == long] for long in (0, 1)
    }
    mean = {long: sum(each) / len(each) for long, each in new_labels.items()}
    assert mean[1] < mean[0] - 0.2
    assert "log loss of people's labels, cross-validated" in capsys.readouterr().out
    # The stored labels have not changed.
    assert {row.label for row in workspace.stores.datasets.rows(labels)} == {0.0, 1.0}


def judge_label(workspace, labels, row):
    rows = (each for each in workspace.stores.datasets.rows(labels) if each.key == row.id)
    return next(rows).judge_label


def test_too_few_reviewed_random_rows_are_reported_before_the_job_starts(workspace, judged):
    """Reviewed ranked rows don't count, nor do draws for another criterion."""
    labels, other, _, _ = judged
    review(workspace, judged, REVIEWED, "uncertain")
    with pytest.raises(
        WorkspaceError, match=r"people reviewed 0 of the judge.*too few to relabel from"
    ):
        workspace.fine_tune_model(
            labels.dataset, model_name="a", criterion="faithfulness", relabel=True
        )
    assert workspace.stores.datasets.reviewed_draw(other) == 0
    assert not workspace.stores.jobs.recent()
    request = TrainRequest(
        name="a",
        data=StoredData(dataset=labels.dataset_id, criterion="faithfulness"),
        relabel=True,
    )
    with pytest.raises(DataError, match="drawn at random"):
        read_training_rows(workspace.stores, request, Reporter())
