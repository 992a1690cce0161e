"""A start from an evaluator against none: paired draws, resumable."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_training import tiny_base, tiny_rows, train_bundle

from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.judge.records import json_line, row_record

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import few_rows


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    base = str(tiny_base("bert", folder / "bert"))
    settings = TrainSettings(base=base, epochs=1, max_length=48)
    train_bundle(other_rows(40), folder / "bundle", settings, name="general")
    return folder / "bundle"


def other_rows(count):
    """Rows that share neither group nor question with `tiny_rows`."""
    return [
        replace(
            row,
            id=f"other-{row.id}",
            group=f"other-{row.group}",
            interaction=replace(row.interaction, input=f"now {row.interaction.input}"),
        )
        for row in tiny_rows(count)
    ]


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json_line(row_record(row)) for row in tiny_rows(300)))
    return file


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["few_rows.py", *map(str, words)])
    few_rows.main()
    done = capsys.readouterr()
    return json.loads(done.out), done.err


def test_arms_are_paired_and_finished_trainings_are_not_repeated(
    start, data, tmp_path, monkeypatch, capsys
):
    measured = []

    def measure(draw, _, origin):
        groups = {row.group for row in draw.train}
        assert groups.isdisjoint(row.group for row in draw.test)
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append((draw.size, draw.seed, origin, [row.id for row in draw.train]))
        auroc = 0.6 + 0.01 * draw.seed + (0.1 if origin else 0)
        return {"size": draw.size, "auroc": round(auroc, 4)}

    monkeypatch.setattr(few_rows, "measure", measure)
    results = tmp_path / "deep" / "results.jsonl"
    words = [data, "--from", start, "--rows", 40, 290, "--draws", 2, "--results", results]
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, capsys, *words)
    with results.open("a") as stream:
        stream.write('{"key": "cut o')
    interrupted, measured[:] = list(measured), []
    summary, notes = run(monkeypatch, capsys, *words)
    assert "has too few rows for draws of 290" in notes
    whole = [*interrupted, *measured]
    assert [(size, seed, origin) for size, seed, origin, _ in whole] == [
        (40, 0, None), (40, 0, start), (40, 1, None), (40, 1, start),
    ]  # fmt: skip
    assert whole[0][3] == whole[1][3] != whole[2][3]
    (size,) = summary["sizes"]
    assert (summary["from"], size["rows"]) == ("general", 40)
    assert size["unstarted"] == {"auroc": [0.6, 0.61], "mean": 0.605, "worst": 0.6}
    assert size["started"]["worst"] == 0.7
    assert size["difference"] == {"mean": 0.1, "low": 0.1, "high": 0.1}

    monkeypatch.setattr(few_rows, "measure", None)
    assert run(monkeypatch, capsys, *words)[0] == summary


def test_a_training_is_measured_as_served(start, data, tmp_path, monkeypatch, capsys):
    base = str(tiny_base("bert", tmp_path / "bert"))
    settings = {"base": base, "epochs": 1, "max_length": 48, "rewritten": 0}
    make = few_rows.TrainRequest
    monkeypatch.setattr(few_rows, "TrainRequest", lambda **given: make(**given, **settings))
    results = tmp_path / "results.jsonl"
    words = ["--rows", 40, "--draws", 1, "--test-rows", 60, "--results", results]
    summary, _ = run(monkeypatch, capsys, data, "--from", start, *words)
    (size,) = summary["sizes"]
    assert 0 <= size["started"]["mean"] <= 1
    records = [json.loads(line) for line in results.read_text().splitlines()]
    assert [each["arm"] for each in records] == ["unstarted", "started"]
    assert {each["test_rows"] for each in records} == {60}


def test_an_evaluator_that_has_seen_the_rows_is_refused(start, tmp_path, monkeypatch, capsys):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json_line(row_record(row)) for row in other_rows(300)))
    with pytest.raises(SystemExit, match=r"was trained on \d+ of these 300 rows"):
        run(monkeypatch, capsys, file, "--from", start)


def test_one_set_of_a_file_is_taken_with_its_fields(data):
    records = [json.loads(line) for line in data.read_text().splitlines()]
    for number, record in enumerate(records):
        record["set"] = "cats" if number < 100 else "dogs"
        if number < 100:
            del record["input"]
    data.write_text("".join(json_line(record) for record in records))
    cats = few_rows.of_set(few_rows.read_rows(data), "cats")
    assert (len(cats.rows), cats.columns) == (100, ("output", "ground_truth"))
    with pytest.raises(SystemExit, match="has no rows of owls"):
        few_rows.of_set(cats, "owls")


def test_the_interval_is_student_s_over_pairs():
    # Differences 0.02, 0.04, 0.06: standard error 0.0115, and t with two degrees is 4.303.
    found = few_rows.paired([0.5, 0.6, 0.7], [0.52, 0.64, 0.76])
    assert found == {"mean": 0.04, "low": -0.0097, "high": 0.0897}
    assert few_rows.paired([0.5], [0.6])["low"] is None
