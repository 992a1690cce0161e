"""Commands that write to a full disk, or to a folder where nobody may write."""

from __future__ import annotations

import json
import resource
from contextlib import contextmanager
from dataclasses import replace

import pytest
from judge_rows import capitals
from judge_server import JudgeServer

from tipstaff.cli import main
from tipstaff_trainer.judge.records import row_record

ROWS = 120
ROOM = 500
CLOSED = "/sys"  # where not even root can create files


@contextmanager
def room(size):
    """Limits the size of files, like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def labels(tmp_path):
    """A judge's labels, some of them reviewed, with an evaluator's scores."""
    file = tmp_path / "labels.jsonl"
    with file.open("w") as lines:
        for n, row in enumerate(capitals(ROWS)):
            judged = replace(row, label=float(n % 3 == 0), label_source="judge")
            lines.write(json.dumps(row_record(judged, score=0.25 + n % 2 / 2)) + "\n")
    return file


@pytest.fixture
def reviewed(tmp_path):
    file = tmp_path / "reviewed.jsonl"
    with file.open("w") as lines:
        for n, row in enumerate(capitals(60)):
            drawn = replace(row, label=float(n % 2), label_source="human", selection="random")
            lines.write(json.dumps(row_record(drawn)) + "\n")
    return file


@pytest.fixture(params=["review-queue", "relabel", "label-errors", "label-errors to a table"])
def words(request, labels, reviewed):
    """A command without --out, and the ending for its --out."""
    if request.param.startswith("label-errors"):
        base = str(request.getfixturevalue("bert"))
        ending = ".csv" if "table" in request.param else ".jsonl"
        return ["label-errors", str(labels), "--base", base], ending
    if request.param == "relabel":
        return ["relabel", str(labels), "--reviewed", str(reviewed), "--scores", "score"], ".jsonl"
    return ["review-queue", str(labels), "--count", "100"], ".jsonl"


def test_a_full_disk_is_one_line_and_leaves_no_half_file(words, tmp_path, capsys):
    (given, ending), folder = words, tmp_path / "out"
    folder.mkdir()
    out = folder / f"rows{ending}"
    with room(ROOM):
        assert main([*given, "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert f"--out {out}: can't be written: File too large" in said
    assert "make room" in said
    assert said.count("error") == 1
    assert list(folder.iterdir()) == []
    assert main([*given, "--out", str(out)]) == 0
    assert out.stat().st_size > ROOM
    assert [each.name for each in folder.iterdir()] == [out.name]


def test_a_folder_that_nobody_may_write_to_is_one_line(words, capsys):
    given, ending = words
    assert main([*given, "--out", f"{CLOSED}/rows{ending}"]) in (1, 2)
    said = capsys.readouterr().err
    assert f"--out {CLOSED}/rows{ending}: " in said
    assert "can't be written" in said
    assert said.count("\n") == said.count("warning") + 1


def test_what_a_judge_was_paid_for_outlives_a_full_disk(labels, tmp_path, capsys):
    with JudgeServer() as judge:
        out, ledger = tmp_path / "out" / "rows.jsonl", tmp_path / "ledger.sqlite"
        out.parent.mkdir()
        words = [
            *("label", str(labels), "--criterion", "answer-correctness"),
            *("--judge-model", "judge-1", "--base-url", judge.url, "--ledger", str(ledger)),
        ]
        assert main([*words, "--out", str(tmp_path / "first.jsonl")]) == 0
        capsys.readouterr()
        # Enough room to open the ledger.
        with room(34_000):
            assert main([*words, "--out", str(out)]) == 1
        said = capsys.readouterr().err
        assert f"--out {out}: can't be written: File too large" in said
        assert f"what was paid for is kept in {ledger}" in said
        assert list(out.parent.iterdir()) == []
        assert main([*words, "--out", str(out)]) == 0
        assert judge.behaviour.seen == ROWS


def test_a_ledger_without_room_is_named(labels, tmp_path, capsys):
    with JudgeServer() as judge:
        out = tmp_path / "rows.jsonl"
        words = [
            *("label", str(labels), "--criterion", "answer-correctness", "--out", str(out)),
            *("--judge-model", "judge-1", "--base-url", judge.url),
        ]
        with room(60_000):
            assert main(words) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("tipstaff: error: the ledger ")
        assert f"{out.with_suffix('.ledger.sqlite')} can't be written" in said
        assert "make room" in said
        assert not out.exists()
        paid = judge.behaviour.seen
        assert main(words) == 0
        # Except for calls under way when it failed.
        assert judge.behaviour.seen < ROWS + paid
