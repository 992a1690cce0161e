"""The rows of a training job, and its result; the training itself is faked."""

from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.data.origins import label_origins
from tipstaff_trainer.operations.train import Trained
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.operations.reporter import JobReporter
from tipstaff_trainer.workspace.operations.run import run

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
    call = {}

    def train(request, rows, out, reporter):
        call.update(rows=rows(), cases=request.cases, previous=request.previous)
        bundle = make_bundle(tmp_path / "bundle", bias=-9.0, cases=request.cases)
        return Trained.of(Bundle.open(bundle), request.cases)

    monkeypatch.setattr("tipstaff_trainer.workspace.operations.run.train", train)
    job = workspace.fine_tune_model(dataset, model_name="tiny", size=size)
    stores = workspace.stores
    result = run(stores, job, JobReporter(stores.jobs, job.id)).result
    assert (len(call["rows"].train), len(call["rows"].unlabelled)) == (20, more)
    assert not any(row.labelled for row in call["rows"].unlabelled)
    assert label_origins(call["rows"].train).reviewers == 1
    assert call["cases"] == (RIGHT,)
    assert call["previous"] is None
    (outcome,) = result["cases"]
    assert (outcome["name"], outcome["verdict"], outcome["met"]) == ("right", "BLOCK", False)
    # The next version is compared with the one that is Online.
    workspace.promote("tiny", 1, force=True)
    job = workspace.fine_tune_model(dataset, model_name="tiny", size=size)
    run(stores, job, JobReporter(stores.jobs, job.id))
    assert call["previous"] == stores.evaluators.path("tiny", 1)
