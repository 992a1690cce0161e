"""What a training gets from a data set, and what its job reports; the training is faked."""

from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.operations.train import Trained
from tipstaff_trainer.workspace.jobs.operations import run_train
from tipstaff_trainer.workspace.jobs.reporter import JobReporter
from tipstaff_trainer.workspace.labels.log import NewLabel, record

RIGHT = Case(name="right", expect="pass", output="paris", ground_truth="paris")


@pytest.mark.parametrize(("size", "more"), [("full", 0), ("small", 40), ("1", 40)])
def test_rows_without_a_label_teach_a_small_evaluator(
    workspace, dataset, labels, tmp_path, monkeypatch, size, more
):
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    workspace.stores.cases.add("faithfulness", [RIGHT])
    labels = workspace.add_criterion(dataset, "faithfulness")
    with workspace.stores.database.writing() as session:
        for row in workspace.stores.datasets.page(labels).rows[:20]:
            record(
                session,
                row.id,
                "faithfulness",
                NewLabel(float(row.extra["system"] == "a"), "human", "ann"),
            )
    given = {}

    def train(request, rows, out, reporter):
        given.update(rows=rows(), cases=request.cases)
        bundle = make_bundle(tmp_path / "bundle", bias=-9.0, cases=request.cases)
        return Trained.of(Bundle.open(bundle), request.cases)

    monkeypatch.setattr("tipstaff_trainer.operations.train.train", train)
    job = workspace.fine_tune(dataset, name="tiny", size=size)
    stores = workspace.stores
    _, result = run_train(stores, job, JobReporter(stores.jobs, job.id))
    assert (len(given["rows"].train), len(given["rows"].unlabelled)) == (20, more)
    assert not any(row.labelled for row in given["rows"].unlabelled)
    assert given["cases"] == (RIGHT,)
    (outcome,) = result["cases"]
    assert (outcome["name"], outcome["verdict"], outcome["met"]) == ("right", "BLOCK", False)
