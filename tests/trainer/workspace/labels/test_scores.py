"""Jobs that score rows, to choose rows for review."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select
from tiny_bundle import make_bundle
from tiny_training import tiny_rows

from tipstaff_server import repository
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.encoders import base
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import RowScore
from tipstaff_trainer.workspace.db.rows import to_interaction
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.operations import runner
from tipstaff_trainer.workspace.operations.reporter import JobReporter


def test_a_job_scores_every_row_as_the_server_would(workspace, dataset, labels, tmp_path):
    bundle = make_bundle(tmp_path / "tiny", order=("output", "ground_truth"))
    repository.publish(bundle, workspace.repository)
    job = workspace.score_dataset(dataset, "tiny", wait_for_completion=60)
    assert (job.done, job.total) == (60, 60)
    assert workspace.stores.scores.counts(labels) == {("tiny", 1): 60}
    assert not list(workspace.stores.scores.unscored(labels, ("tiny", 1)))
    evaluator = Evaluator.load(bundle)
    with workspace.stores.database.reading() as session:
        stored = {each.row_id: each.score for each in session.scalars(select(RowScore))}
    for row in workspace.stores.datasets.rows(labels):
        assert stored[row.id] == evaluator.score(to_interaction(row)).score
    with pytest.raises(WorkspaceError, match="no version 2"):
        workspace.score_dataset(dataset, "tiny", version=2)


def test_rows_with_a_score_are_not_scored_again(workspace, dataset, labels, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository)
    first, *_ = workspace.stores.datasets.rows(labels)
    workspace.stores.scores.add(labels, ("tiny", 1), {first.id: 0.5})
    workspace.score_dataset(dataset, "tiny", version=1, wait_for_completion=60)
    assert workspace.stores.scores.counts(labels) == {("tiny", 1): 60}


def test_one_job_scores_at_a_time(workspace, dataset, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository)
    job = workspace.score_dataset(dataset, "tiny")
    assert workspace.score_dataset(dataset, "tiny").id == job.id
    # Whatever the criterion: an evaluator's scores are the same.
    workspace.add_criterion(dataset, "faithfulness")
    workspace.add_criterion(dataset, "toxicity")
    assert workspace.score_dataset(dataset, "tiny", criterion="toxicity").id == job.id
    workspace.wait_for(job, timeout=60)
    assert workspace.score_dataset(dataset, "tiny", wait_for_completion=60).id != job.id


def test_a_row_without_a_text_to_read_gets_no_score(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny", order=("output",)), workspace.repository)
    file = tmp_path / "rows.csv"
    file.write_text("input,output\nonly a question,\nparis,paris\n")
    dataset = workspace.upload_dataset(file)
    labels = workspace.label_set(dataset)
    workspace.score_dataset(dataset, "tiny", wait_for_completion=60)
    with workspace.stores.database.reading() as session:
        scores = session.scalars(select(RowScore.score).order_by(RowScore.row_id)).all()
    assert [score is None for score in scores] == [True, False]
    assert workspace.stores.scores.counts(labels) == {("tiny", 1): 2}


def test_the_other_rows_score_rows_without_an_evaluator(workspace, tmp_path, bert, monkeypatch):
    rows = [
        {"id": number, "input": f"asked {number}", "output": row.interaction.output}
        | ({"label": row.label} if number < 50 else {})
        for number, row in enumerate(tiny_rows(60))
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    dataset = workspace.upload_dataset(file)
    real = base.find_base
    monkeypatch.setattr(
        "tipstaff_trainer.label_quality.label_errors.find_base", lambda _: real(str(bert))
    )
    labels = workspace.label_set(dataset)
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    job = workspace.score_dataset(dataset, None)
    runner.run(workspace.stores, job, JobReporter(workspace.stores.jobs, job.id))
    with workspace.stores.database.reading() as session:
        scores = session.scalars(select(RowScore.score).order_by(RowScore.row_id)).all()
    assert [score is None for score in scores] == [False] * 50 + [True] * 10
    assert all(0 <= score <= 1 for score in scores if score is not None)
    assert workspace.stores.scores.counts(labels) == {OTHER_ROWS: 60}
    workspace.stores.scores.delete(labels, OTHER_ROWS)
    assert workspace.stores.scores.counts(labels) == {}
