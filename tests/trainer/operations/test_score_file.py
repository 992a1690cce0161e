"""Scoring files: any kind in, the same rows with scores out, resumed where it stopped."""

from __future__ import annotations

import csv
import json

import pytest
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff.errors import UsageError
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data.streaming import stream_tables
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations import score_file as operation
from tipstaff_trainer.operations.score_file import ScoreFileRequest, score_file
from tipstaff_trainer.progress import Reporter

ROWS = [
    {"id": n, "input": f"where {n}", "output": f"paris {n}", "more": {"n": n}} for n in range(25)
]


@pytest.fixture(autouse=True)
def shards_of_ten(monkeypatch):
    monkeypatch.setattr(operation, "_SHARD_ROWS", 10)


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle")


def request(tmp_path, bundle, rows=ROWS, *, out="scored.jsonl", **more):
    path = tmp_path / "rows.jsonl"
    if not path.exists():
        path.write_text("\n".join(map(json.dumps, rows)))
    values = {"data": {"data": path}, "bundle": bundle, "out": tmp_path / out, **more}
    return ScoreFileRequest.parse(values)


def scored(path):
    if path.suffix == ".csv":
        return list(csv.DictReader(path.open(newline="", encoding="utf-8-sig")))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("out", ["scored.jsonl", "scored.csv"])
def test_each_row_has_its_score_beside_its_columns(tmp_path, bundle, out):
    blank = {"id": 99, "input": "", "output": None}
    asked = request(tmp_path, bundle, [*ROWS, blank], out=out)
    result = score_file(asked)
    assert (result.rows, result.resumed) == (26, 0)
    assert sum(result.verdicts.values()) == 26
    rows = scored(tmp_path / out)
    evaluator = Evaluator.load(bundle)
    for row, source in zip(rows, ROWS, strict=False):
        prediction = evaluator.score(operation.Interaction(source["input"], source["output"], None))
        assert float(row["score"]) == prediction.score
        assert row["verdict"] == prediction.verdict.value
        assert "MISSING_FIELD" in row["reasons"]
        assert row["output"] == source["output"]
        assert (json.loads(row["more"]) if out.endswith("csv") else row["more"]) == source["more"]
    assert rows[-1]["score"] in (None, "")
    assert rows[-1]["reasons"].startswith("no text in ")
    assert not list(tmp_path.glob("*.parts"))


def test_a_run_that_stopped_is_resumed(tmp_path, bundle, monkeypatch):
    real, calls = operation.score_shard, []

    def failing(folder, texts):
        calls.append(len(texts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(folder, texts)

    monkeypatch.setattr(operation, "_AHEAD", 0)
    monkeypatch.setattr(operation, "score_shard", failing)
    with pytest.raises(KeyboardInterrupt):
        score_file(request(tmp_path, bundle))
    assert not (tmp_path / "scored.jsonl").exists()
    result = score_file(request(tmp_path, bundle))
    assert (result.rows, result.resumed) == (25, 20)
    assert calls == [10, 10, 5, 5]
    assert [row["id"] for row in scored(tmp_path / "scored.jsonl")] == list(range(25))


def test_another_file_or_bundle_is_no_run_to_resume(tmp_path, bundle, monkeypatch):
    monkeypatch.setattr(operation, "_AHEAD", 0)
    damaged = "\n".join(map(json.dumps, ROWS * 8)).encode() + b'\n{"output": "\xe9"}'
    (tmp_path / "rows.jsonl").write_bytes(damaged)
    with pytest.raises(DataError, match="not UTF-8"):
        score_file(request(tmp_path, bundle))
    assert list(tmp_path.glob("scored.jsonl.parts/*.part"))
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    assert score_file(request(tmp_path, bundle)).resumed == 0


def test_processes_give_the_same_output(tmp_path, bundle):
    score_file(request(tmp_path, bundle))
    score_file(request(tmp_path, bundle, out="two.jsonl", processes=2))
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "scored.jsonl").read_bytes()


def test_columns_of_the_same_name_are_kept(tmp_path, bundle):
    rows = [{"output": "paris", "score": 3, "verdict": "mine"}]
    score_file(request(tmp_path, bundle, rows))
    (row,) = scored(tmp_path / "scored.jsonl")
    assert (row["score"], row["verdict"]) == (3, "mine")
    assert 0 <= row["tipstaff_score"] <= 1


def test_an_export_and_a_mapping_are_read_as_elsewhere(tmp_path, bundle):
    rows = [
        {"inputs": {"question": "where"}, "outputs": {"answer": f"paris {n}"}, "run_type": "chain"}
        for n in range(12)
    ]
    score_file(request(tmp_path, bundle, rows))
    plain = [{"input": "where", "output": f"paris {n}"} for n in range(12)]
    (tmp_path / "rows.jsonl").unlink()
    score_file(request(tmp_path, bundle, plain, out="plain.jsonl"))
    both = (scored(tmp_path / name) for name in ("scored.jsonl", "plain.jsonl"))
    assert [row["score"] for row in next(both)] == [row["score"] for row in next(both)]


def test_mistakes_are_told_before_the_work(tmp_path, bundle):
    for values, field in [
        ({"bundle": None}, "bundle"),
        ({"target": "localhost:1"}, "bundle"),
        ({"out": "scored.xlsx"}, "out"),
        ({"bundle": tmp_path / "none"}, "bundle"),
    ]:
        with pytest.raises(UsageError) as error:
            request(tmp_path, values.pop("bundle", bundle), **values)
        assert error.value.field == field
    (tmp_path / "scored.jsonl").write_text("")
    with pytest.raises(UsageError, match="exists already"):
        score_file(request(tmp_path, bundle))


def test_the_command_prints_the_verdicts(tmp_path, bundle, capsys):
    request(tmp_path, bundle)
    words = ["score-file", tmp_path / "rows.jsonl", "--bundle", bundle, "--out", tmp_path / "o.csv"]
    assert main(list(map(str, words))) == 0
    printed = capsys.readouterr().out
    assert "rows: 25, 0 of them scored by an earlier run" in printed
    assert f"written: {tmp_path / 'o.csv'}" in printed


def test_a_folder_of_someone_else_is_left_alone(tmp_path, bundle):
    theirs = tmp_path / "scored.jsonl.parts" / "notes.txt"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    with pytest.raises(UsageError, match="wasn't made by this command"):
        score_file(request(tmp_path, bundle))
    assert theirs.read_text() == "mine"


BROKEN = [
    {"id": 0, "output": "paris"},
    {"id": 1, "output": True},
    "{not json",
    {"id": 3, "output": "paris", "cost": float("nan"), "odds": [float("inf")]},
    {"id": 4, "output": "paris", "late": "=1+1"},
]


@pytest.mark.parametrize("out", ["scored.jsonl", "scored.csv"])
def test_a_row_that_can_t_be_read_has_no_score_and_the_reason(tmp_path, bundle, out):
    path = tmp_path / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in BROKEN]
    path.write_text("\n".join(lines))
    notes = []
    reporter = Reporter()
    reporter.warn = lambda message, remedy="": notes.append(message)
    result = score_file(request(tmp_path, bundle, out=out), reporter)
    assert (result.rows, result.unreadable, result.verdicts[""]) == (5, 2, 2)
    assert f"2 of 5 rows can't be read and have no score; the first: {path}, row 2" in notes[-1]
    rows = scored(tmp_path / out)
    assert [bool(row["score"]) for row in rows] == [True, False, False, True, True]
    assert rows[1]["reasons"].startswith('unreadable: column "output": true is not text')
    assert "not a JSON object on one line" in rows[2]["reasons"]
    text = (tmp_path / out).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    # A column of later rows only is a column, and no cell is a formula.
    assert rows[4]["late"] == ("'=1+1" if out.endswith("csv") else "=1+1")


def test_rows_with_too_many_cells_do_not_stop_the_others(tmp_path, bundle):
    path = tmp_path / "rows.csv"
    path.write_text("id,output\n1,paris\n2,paris, or london\n3,paris,\n-4,'=paris\n")
    values = {"data": {"data": path}, "bundle": bundle, "out": tmp_path / "scored.csv"}
    assert score_file(ScoreFileRequest.parse(values)).unreadable == 1
    rows = scored(tmp_path / "scored.csv")
    assert [row["id"] for row in rows] == ["1", "2", "3", "-4"]
    assert "has 3 cells and the header has 2" in rows[1]["reasons"]
    again = next(stream_tables(tmp_path / "scored.csv", 10))
    assert [(row.values["id"], row.values["output"]) for row in again.records][-1] == (
        "-4",
        "'=paris",
    )


def test_a_file_of_which_no_row_can_be_read_is_refused(tmp_path, bundle):
    with pytest.raises(DataError, match=r'rows.jsonl, row 1 .line 1., column "output": true'):
        score_file(request(tmp_path, bundle, [{"output": True}] * 30))
    assert not list(tmp_path.glob("*.parts"))
