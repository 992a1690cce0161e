"""Rows scored as a job, to be chosen for review by what an evaluator says of them."""

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
from tipstaff_trainer.workspace.jobs import score_job
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS


def test_a_job_scores_every_row_as_it_would_be_served(workspace, dataset, labels, tmp_path):
    bundle = make_bundle(tmp_path / "tiny", order=("output", "ground_truth"))
    repository.publish(bundle, workspace.repository)
    job = workspace.score_dataset(dataset, "tiny", wait=60)
    assert (job.done, job.total) == (60, 60)
    assert workspace.scores.counts(labels) == {("tiny", 1): 60}
    assert not workspace.scores.unscored(labels, ("tiny", 1), limit=1)
    evaluator = Evaluator.load(bundle)
    with workspace.database.reading() as session:
        stored = {each.row_id: each.score for each in session.scalars(select(RowScore))}
    for row in workspace.datasets.rows(labels):
        assert stored[row.id] == evaluator.score(to_interaction(row)).score
    with pytest.raises(WorkspaceError, match="no version 2"):
        workspace.score_dataset(dataset, "tiny", version=2)


def test_what_was_scored_is_not_scored_again(workspace, dataset, labels, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository)
    first, *_ = workspace.datasets.rows(labels)
    workspace.scores.add(labels, ("tiny", 1), {first.id: 0.5})
    workspace.score_dataset(dataset, "tiny", version=1, wait=60)
    assert workspace.scores.counts(labels) == {("tiny", 1): 60}


def test_one_job_scores_at_a_time(workspace, dataset, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny"), workspace.repository)
    job = workspace.score_dataset(dataset, "tiny")
    assert workspace.score_dataset(dataset, "tiny").id == job.id
    # By whatever the rows are judged: an evaluator says the same.
    workspace.add_criterion(dataset, "faithfulness")
    workspace.add_criterion(dataset, "toxicity")
    assert workspace.score_dataset(dataset, "tiny", criterion="toxicity").id == job.id
    workspace.wait_for(job, timeout=60)
    assert workspace.score_dataset(dataset, "tiny", wait=60).id != job.id


def test_a_row_with_nothing_to_read_is_passed_over(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny", order=("output",)), workspace.repository)
    file = tmp_path / "rows.csv"
    file.write_text("input,output\nonly a question,\nparis,paris\n")
    dataset = workspace.upload_dataset(file)
    labels = workspace.label_set(dataset)
    parts = list(score_job._by_version(workspace, labels, ("tiny", 1)))
    assert [score is None for score in parts[0].values()] == [True, False]


def test_before_there_is_an_evaluator_the_other_rows_say(workspace, tmp_path, bert, monkeypatch):
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
    (scores,) = score_job._by_other_rows(workspace, labels)
    assert [score is None for score in scores.values()] == [False] * 50 + [True] * 10
    assert all(0 <= score <= 1 for score in scores.values() if score is not None)
    workspace.scores.add(labels, OTHER_ROWS, scores)
    workspace.scores.delete(labels, OTHER_ROWS)
    assert workspace.scores.counts(labels) == {}
