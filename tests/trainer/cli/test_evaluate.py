"""`tipstaff evaluate` and `tipstaff compare` as people type them, on untrained bundles."""

from __future__ import annotations

import json
import re

import pytest
from tiny_bundle import make_bundle

from tipstaff.cli import main
from tipstaff_server import repository
from tipstaff_server.evaluator.cases import Case
from tipstaff_trainer.data import hash_training_rows, read_rows

PARIS = {"input": "capital of france", "output": "paris", "ground_truth": "paris"}


@pytest.fixture
def data(tmp_path):
    rows = [
        {
            "input": f"capital of {country}",
            "output": output,
            "ground_truth": "paris / city paris",
            "label": int(output == "paris"),
            "system": system,
        }
        for country in ("france", "england", "city", "capital", "water")
        for output, system in (("paris", "one"), ("london", "two"), ("the", "two"))
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def evaluate(*words):
    return main(["evaluate", *map(str, words)])


def test_rows_that_it_was_trained_on_are_told(data, tmp_path, capsys):
    # Five rows have the texts of the training row, since no input is read; two share its group.
    rows = read_rows(data, columns=("output", "ground_truth")).rows
    some = [row for row in rows if row.interaction.output == "london"][:1]
    order = ("output", "ground_truth")
    trained = make_bundle(tmp_path / "b", order=order, seen=hash_training_rows(some))
    other = make_bundle(tmp_path / "other", order=order)
    said = "7 of 15 rows were trained on or belong with rows that were (5 have their texts)"
    assert evaluate(trained, data, "--out", tmp_path / "out") == 0
    assert said in capsys.readouterr().err
    assert said in (tmp_path / "out" / "index.html").read_text()
    main(["compare", str(other), str(trained), str(data)])
    assert f"warning: {trained}: {said}" in capsys.readouterr().err
    assert evaluate(other, data) == 0
    assert "trained on or" not in capsys.readouterr().err


def test_a_comparison_says_which_bundle_a_warning_is_of(data, tmp_path, capsys):
    calibrated = make_bundle(tmp_path / "calibrated")
    other = make_bundle(tmp_path / "other", calibrated=False)
    main(["compare", str(calibrated), str(other), str(data)])
    assert f"warning: {other}: the evaluator's score is not cal" in capsys.readouterr().err
    main(["compare", str(other), str(other), str(data)])
    assert "warning: the evaluator's score is not cal" in capsys.readouterr().err


def test_a_report_is_written_beside_what_is_printed(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_metric.py").write_text("def f(row): return len(row['output'])")
    bundle, out = make_bundle(tmp_path / "b", calibrated=False), tmp_path / "out"
    (bundle / "training").mkdir()
    (bundle / "training" / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    code = evaluate(
        bundle, data, "--out", out, "--slice-by", "system", "--separator", "/",
        "--metric", "own_metric:f",
    )  # fmt: skip
    assert code == 0
    shown, warned = capsys.readouterr()
    assert "roc_auc" in shown
    assert "warning: the evaluator's score is not calibrated" in warned
    assert "score is not calibrated" in (out / "index.html").read_text()
    assert f"report: {out / 'index.html'}" in shown
    report = json.loads((out / "report.json").read_text())
    assert {part["value"] for part in report["slices"]} == {"one", "two"}
    names = [each["name"] for each in report["yardsticks"]]
    assert names[0] == "evaluator"
    assert names[-1] == "own_metric:f"
    exact = next(each for each in report["yardsticks"] if each["name"] == "exact match")
    assert exact["auroc"]["value"] == 1
    assert report["learning"][0]["y"] == [0.5]
    assert report["latency"][-1]["tokens"] == 64


def test_json_stays_one_object_on_standard_output(data, tmp_path, capsys):
    bundle = make_bundle(tmp_path / "b", cases=(Case(name="a", expect="not-block", **PARIS),))
    evaluate(bundle, data, "--json", "--out", tmp_path / "out")
    shown = capsys.readouterr()
    assert json.loads(shown.out)["n"] == 15
    assert "named cases: " in shown.err
    assert "report: " in shown.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attach"], "--attach: stores named cases; name their file with --cases"),
        (["--slice-by", "system"], "--slice-by: is for the report; name its folder with --out"),
        (["--out", "OUT", "--metric", "nowhere"], "name it as module:function"),
        (["--cases", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["--out", "OUT", "--slice-by", "team"], 'no row has a column "team"'),
        (
            ["--out", "OUT", "--slice-by", "input"],
            '"input" has a meaning of its own, as have output',
        ),
        (["--out", "OUT", "--metric", "text_metric:f"], "which is not a number"),
        (["--out", "rows.jsonl/deep"], "rows.jsonl is a file"),
        (["--out", "."], "holds other files"),
        (["--out", "OUT", "--correct", "team"], 'no row has a column "team"'),
    ],
)
def test_mistakes_are_one_line(words, said, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text_metric.py").write_text("def f(row): return 'good'")
    assert evaluate(make_bundle(tmp_path / "b"), data, *words) in (1, 2)
    shown = capsys.readouterr().err
    errors = [line for line in shown.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert said in errors[0]
    # Reported before the rows are scored.
    assert "scoring" not in shown
    assert not (tmp_path / "OUT").exists()


def test_a_metric_that_says_nothing_of_some_rows_is_told(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_metric.py").write_text(
        "def f(row): return 1 if row['output'] == 'paris' else float('nan')"
    )
    out = tmp_path / "out"
    evaluate(make_bundle(tmp_path / "b"), data, "--out", out, "--metric", "some_metric:f")
    assert "of 15 rows some_metric:f has one for 5" in capsys.readouterr().err
    assert "some_metric:f has one for 5" in (out / "card.md").read_text()


def test_a_folder_in_place_of_the_rows_is_called_one(tmp_path, capsys):
    assert evaluate(make_bundle(tmp_path / "b"), tmp_path) == 2
    assert "is a folder; give one file" in capsys.readouterr().err


def test_comparing_with_what_serves(data, tmp_path, capsys):
    repo = tmp_path / "repo"
    case = Case(name="paris passes", expect="pass", **PARIS)
    repository.publish(make_bundle(tmp_path / "yes", bias=50, cases=(case,)), repo, promote=True)
    newer = make_bundle(tmp_path / "no", bias=-50)
    code = main(
        ["compare", str(repo / "tiny"), str(newer), str(data), "--out", str(tmp_path / "c")]
    )
    assert code == 1
    shown = capsys.readouterr().out
    assert "10 rows better, 5 worse" in shown
    assert "bad rows: 0 now pass, 10 no longer; good rows: 5 are now blocked, 0 no longer" in shown
    # The newer version has no cases, so it must pass those of the serving version.
    assert "named cases: 0 won, 1 lost of 1" in shown
    assert 'regression: 1 named case lost: "paris passes"' in shown
    comparison = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert comparison["first"]["bundle"] == str(repo / "tiny" / "1")
    assert comparison["first"]["latency"][0]["tokens"] == 16
    assert (tmp_path / "c" / "index.html").is_file()


def test_comparing_runs_the_cases_of_both(data, tmp_path, capsys):
    forgotten = Case(name="forgotten", expect="pass", **PARIS)
    flipped = Case(name="flipped", expect="pass", **PARIS)
    older = make_bundle(tmp_path / "yes", bias=50, cases=(forgotten, flipped))
    newer = make_bundle(
        tmp_path / "no", bias=-50, cases=(flipped.model_copy(update={"expect": "block"}),)
    )
    assert main(["compare", str(older), str(newer), str(data)]) == 1
    shown = capsys.readouterr()
    assert "named cases: 1 won, 1 lost of 2" in shown.out
    assert 'regression: 1 named case lost: "forgotten"' in shown.out
    assert 'warning: named cases that only the first brings: "forgotten"\n' in shown.err
    assert 'the first has otherwise, run as they are now: "flipped" (pass expected' in shown.err


def test_comparing_gives_each_figure_its_rows_or_its_interval(data, tmp_path, capsys):
    one, other = make_bundle(tmp_path / "one"), make_bundle(tmp_path / "other", seed=1)
    main(["compare", str(one), str(other), str(data)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"15 rows of {data} (5 good, 10 bad); 95 % intervals in brackets"
    for name in ("accuracy", "AUROC", "bad rows pass", "good blocked"):
        (line,) = (line for line in lines if line.startswith(name))
        assert len(re.findall(r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)", line)) == 2
    assert "no regression" not in lines


def test_evaluating_gives_each_figure_its_rows_or_its_interval(data, tmp_path, capsys):
    evaluate(make_bundle(tmp_path / "b"), data)
    lines = capsys.readouterr().out.splitlines()
    assert "15   5 good, 10 bad" in lines[0]
    for name in ("accuracy", "roc_auc", "bad rows pass", "good rows blocked"):
        (line,) = (line for line in lines if line.startswith(name))
        assert re.search(r" \d\.\d{4}   \d\.\d{4} to \d\.\d{4}", line)


def test_comparing_an_evaluator_with_itself(data, tmp_path, capsys):
    bundle = str(make_bundle(tmp_path / "b"))
    assert main(["compare", bundle, bundle, str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["regressions"] == []


def test_comparing_one_with_itself_tells_once_what_it_was_trained_on(data, tmp_path, capsys):
    bundle = make_bundle(tmp_path / "b", seen=hash_training_rows(read_rows(data).rows))
    main(["compare", str(bundle), f"{bundle}/../b", str(data)])
    assert capsys.readouterr().err.count("rows were trained on or belong with") == 1
