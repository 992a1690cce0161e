"""What a training is given of a data set, and what its job tells; the training itself is faked."""

from __future__ import annotations

import pytest
from tiny_bundle import make_bundle

from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.workspace.jobs import train_job
from tipstaff_trainer.workspace.labels.log import NewLabel, record

RIGHT = Case(name="right", expect="pass", output="paris", ground_truth="paris")


@pytest.mark.parametrize(("size", "more"), [("full", 0), ("small", 40), ("1", 40)])
def test_rows_without_a_label_teach_a_small_evaluator(
    workspace, dataset, labels, tmp_path, monkeypatch, size, more
):
    monkeypatch.setattr(workspace.jobs, "_launch", workspace.jobs.get)
    workspace.cases.add("faithfulness", [RIGHT])
    labels = workspace.add_criterion(dataset, "faithfulness")
    with workspace.database.writing() as session:
        for row in workspace.datasets.page(labels).rows[:20]:
            record(
                session,
                row.id,
                "faithfulness",
                NewLabel(float(row.extra["system"] == "a"), "human", "ann"),
            )
    given = {}

    def train_evaluator(rows, **words):
        given.update(words, rows=rows)
        return Bundle.open(make_bundle(tmp_path / "bundle", bias=-9.0, cases=words["cases"]))

    monkeypatch.setattr(train_job, "train_evaluator", train_evaluator)
    job = workspace.fine_tune(dataset, name="tiny", settings={"size": size})
    _, result = train_job.run(workspace, job)
    assert (len(given["rows"]), len(given["unlabelled"])) == (20, more)
    assert not any(row.labelled for row in given["unlabelled"])
    assert given["cases"] == (RIGHT,)
    (outcome,) = result["cases"]
    assert (outcome["name"], outcome["verdict"], outcome["met"]) == ("right", "BLOCK", False)
