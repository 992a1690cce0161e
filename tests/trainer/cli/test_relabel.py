"""`tipstaff relabel`: from a judge's labels and reviewed rows to rows that train reads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tiny_training import tiny_rows

from tipstaff.cli import main
from tipstaff_trainer.data import read_rows, united_groups
from tipstaff_trainer.judge.records import row_record
from tipstaff_trainer.label_quality import label_errors


@pytest.fixture
def files(tmp_path):
    """A judge's labels, which pass half of the bad rows, and people's labels of 60 random rows."""
    labels, reviewed = tmp_path / "labels.jsonl", tmp_path / "reviewed.jsonl"
    rows = tiny_rows(240)
    bad = [row.id for row in rows if not row.good][::2]
    with labels.open("w") as judge, reviewed.open("w") as people:
        for index, row in enumerate(rows):
            says = 1.0 if row.id in bad else row.label
            record = row_record(replace(row, label=says, label_source="judge"), score=row.label)
            judge.write(json.dumps(record) + "\n")
            if index < 60:
                drawn = replace(row, label_source="human", selection="random")
                people.write(json.dumps(row_record(drawn)) + "\n")
    return labels, reviewed


def words(files, *more):
    labels, reviewed = files
    out = labels.parent / "rows.jsonl"
    return ["relabel", str(labels), "--reviewed", str(reviewed), "--out", str(out), *more], out


@pytest.mark.parametrize("opinion", [["--scores", "score"], []])
def test_rows_that_train_reads(files, bert, monkeypatch, capsys, opinion):
    monkeypatch.setattr(label_errors, "DEFAULT_BASE", str(bert))
    given, out = words(files, *opinion)
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "reviewed: 60 of the judge's rows, 60 of them drawn at random" in said
    assert "relabelled: 180 rows" in said
    rows = read_rows(out).rows
    assert [row.label_source for row in rows] == ["human"] * 60 + ["judge"] * 180
    assert {row.extra["label_kind"] for row in rows[60:]} == {"relabelled"}
    truth = tiny_rows(240)
    before = [float(row.extra["judge_label"]) for row in rows]
    wrong = [abs(old - row.label) for old, row in zip(before, truth, strict=True)][60:]
    left = [abs(new.label - row.label) for new, row in zip(rows, truth, strict=True)][60:]
    assert sum(x**2 for x in left) < sum(x**2 for x in wrong)
    assert main(given) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_row_is_not_read_by_others_of_its_question(files, bert, monkeypatch):
    """Without a group column, rows with the same input form a group, in both predictions."""
    labels, reviewed = files
    for file in files:
        records = [json.loads(line) for line in file.read_text().splitlines()]
        for record in records:
            record.pop("group", None)
            record["input"] = f"question {int(record['id']) // 4}"
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    seen = []
    out_of_fold = label_errors.out_of_fold

    def watched(matrix, rows, **options):
        seen.append(len(set(united_groups(rows))))
        return out_of_fold(matrix, rows, **options)

    monkeypatch.setattr(label_errors, "DEFAULT_BASE", str(bert))
    monkeypatch.setattr(label_errors, "out_of_fold", watched)
    assert main(words((labels, reviewed))[0]) == 0
    assert seen == [60, 60]


def test_what_people_reviewed_and_the_judge_did_not_label_is_told(files, capsys):
    labels, _ = files
    lines = labels.read_text().splitlines(keepends=True)
    labels.write_text("".join(lines[5:]))
    given, out = words(files, "--scores", "score")
    assert main(given) == 0
    said = capsys.readouterr()
    assert "reviewed: 55 of the judge's rows" in said.out
    assert "5 of the 60 rows that people reviewed have no label of the judge's" in said.err
    assert len(read_rows(out).rows) == 235


def test_a_folder_that_is_not_there_is_said_before_the_work(files, tmp_path, capsys):
    (labels, reviewed), out = files, tmp_path / "nowhere" / "rows.jsonl"
    given = ["--reviewed", str(reviewed), "--scores", "score", "--out", str(out)]
    assert main(["relabel", str(labels), *given]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_rows_that_were_not_drawn_at_random_teach_nothing(files, capsys):
    _, reviewed = files
    reviewed.write_text(reviewed.read_text().replace('"random"', '"disputed"'))
    # Reported before the slow reading of the texts.
    given, out = words(files, "--evaluator", "nowhere")
    assert main(given) == 1
    assert "and 0 of these were drawn at random" in capsys.readouterr().err
    assert not out.exists()
