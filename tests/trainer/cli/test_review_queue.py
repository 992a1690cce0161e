"""`tipstaff review-queue` with each signal that it compares the judge with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tiny_training import tiny_rows

from tipstaff.cli import main
from tipstaff_trainer.judge.records import row_record
from tipstaff_trainer.label_quality import label_errors

WRONG = {"4", "17", "33", "58", "71", "96"}


@pytest.fixture
def labels(tmp_path):
    """A judge's labels, six of them wrong, with scores that find half of these."""
    file = tmp_path / "labels.jsonl"
    with file.open("w") as out:
        for row in tiny_rows(120):
            label = 1 - row.label if row.id in WRONG else row.label
            knows = row.id not in {"4", "17", "33"}
            judged = replace(row, label=label, label_source="judge")
            record = row_record(judged, score=0.3 + 0.4 * (row.label if knows else label))
            out.write(json.dumps(record) + "\n")
    return file


def first(capsys, count):
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines[:count]]


def test_scores_and_the_other_rows_together(labels, bert, monkeypatch, capsys):
    monkeypatch.setattr(label_errors, "DEFAULT_BASE", str(bert))
    words = ["review-queue", str(labels), "--random-share", "0", "--count", "12"]
    assert main([*words, "--scores", "score"]) == 0
    alone = {row["id"] for row in first(capsys, 3)}
    assert alone == WRONG - {"4", "17", "33"}
    assert main([*words, "--scores", "score", "--out-of-fold"]) == 0
    queue = first(capsys, 12)
    assert {row["id"] for row in queue} >= WRONG
    assert "evaluator" in queue[0]["why"]
    assert "other rows" in queue[0]["why"]


def test_two_sources_of_scores_are_refused(labels, capsys):
    words = ["review-queue", str(labels), "--scores", "score", "--evaluator", "bundle"]
    assert main(words) == 2
    assert "--evaluator: there are scores already; leave out --scores" in capsys.readouterr().err


def test_a_column_that_no_row_has_is_not_taken_for_silence(labels, capsys):
    assert main(["review-queue", str(labels), "--scores", "scores"]) == 1
    assert "--scores scores: no row has a score" in capsys.readouterr().err


def test_a_queue_that_somebody_may_have_reviewed_is_not_written_over(labels, tmp_path, capsys):
    queue = tmp_path / "queue.jsonl"
    words = ["review-queue", str(labels), "--count", "3", "--out", str(queue)]
    assert main(words) == 0
    reviewed = queue.read_text().replace('"judge"', '"human"')
    queue.write_text(reviewed)
    assert main(words) == 2
    assert f"--out {queue}: exists already; choose another name" in capsys.readouterr().err
    assert queue.read_text() == reviewed
