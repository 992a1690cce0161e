"""The commands as people type them, mistakes included."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from tiny_training import tiny_rows


def tipstaff(*words):
    return subprocess.run(
        [sys.executable, "-m", "tipstaff", *map(str, words)],
        capture_output=True,
        text=True,
        # Without it, the hub's client tries for a minute where there is no network.
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )


def write(path, rows):
    with path.open("w") as file:
        for row in rows:
            record = {
                "input": row.interaction.input,
                "output": row.interaction.output,
                "ground_truth": row.interaction.ground_truth,
                "label": row.label,
                "id": row.id,
                "group": row.group,
            }
            file.write(json.dumps(record) + "\n")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "rows.jsonl", tiny_rows(60))


@pytest.fixture(scope="module")
def bundle(bert, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "bundle"
    done = tipstaff(
        "train", data, "--name", "colours", "--out", out, "--base", bert,
        "--epochs", 2, "--learning-rate", "1e-3", "--max-length", 64, "--test-size", 0.2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert f'note: {data}: 60 rows; read input from "input", output from "output"' in done.stderr
    assert f"warning: {data}" not in done.stderr
    assert "rows are few" in done.stderr
    assert re.search(
        r"^test: accuracy \d\.\d+ \(0\.\d+ to \d\.\d+\), AUROC .* on 12 rows "
        r"\(\d+ good, \d+ bad\), int8 graph as served$",
        done.stdout,
        re.MULTILINE,
    )
    assert "colours was measured on only 12 test rows" in done.stdout
    assert "next:   label more rows" in done.stdout
    assert "tipstaff serve" not in done.stdout
    return out


def test_train_puts_the_manifest_into_out(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["schema_version"] == 1
    assert manifest["name"] == "colours"
    assert set(manifest["checksums"]) == {
        "model.int8.onnx", "tokenizer.json", "card.md", "seen.npy", "evidence.npz",
        "framing.json",
    }  # fmt: skip


def test_evaluate_prints_one_json_object(bundle, data):
    done = tipstaff("evaluate", bundle, data, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    names = """n accuracy balanced_accuracy precision recall f1 roc_auc pr_auc log_loss brier ece"""
    assert set(names.split()) <= set(found)
    assert found["n"] == 60


def test_evaluate_prints_a_table_for_people(bundle, data):
    done = tipstaff("evaluate", bundle, data)
    assert done.returncode == 0, done.stderr
    assert "roc_auc" in done.stdout


def test_a_teacher_is_a_folder_and_of_the_same_training(bundle, bert, data, tmp_path):
    given = ["train", data, "--name", "colours", "--out", tmp_path / "b", "--base", bert]
    given += ["--size", 1, "--max-length", 64]
    assert "no such folder" in tipstaff(*given, "--teacher", tmp_path / "nowhere").stderr
    # The teacher was trained on only a part of the rows; others may be the validation rows here.
    done = tipstaff(*given, "--teacher", bundle)
    assert done.returncode == 1
    assert f"--teacher {bundle}: it was trained with other rows" in done.stderr


def test_part_of_the_fields_can_be_trained_on_and_named_cases_go_along(bert, data, tmp_path):
    cases = tmp_path / "cases.yaml"
    texts = "output: it is red, ground_truth: the cat is red"
    cases.write_text(
        f"- {{name: one, expect: pass, {texts}}}\n- {{name: other, expect: not-pass, {texts}}}"
    )
    done = tipstaff(
        "train", data, "--name", "colours", "--out", tmp_path / "b", "--base", bert,
        "--epochs", 1, "--max-length", 64, "--columns", "output,ground_truth",
        "--cases", cases,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["encoding"]["order"] == ["output", "ground_truth"]
    # The two cases contradict each other, so one must fail.
    assert "named cases: 1 of 2 as expected" in done.stdout
    assert "fails: " in done.stdout
    assert "cases.json" in manifest["checksums"]


def test_evaluate_says_what_the_rows_lack(bundle, data, tmp_path):
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    for row in rows:
        del row["ground_truth"]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    done = tipstaff("evaluate", bundle, file, "--json")
    assert done.returncode == 0, done.stderr
    assert "60 of 60 rows lack ground_truth, which the evaluator was trained on" in done.stderr
    assert "--map ground_truth=COLUMN" in done.stderr
    json.loads(done.stdout)


def test_a_test_file_without_a_trained_column_is_refused_before_training(data, tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text('{"input": "a", "output": "b", "label": 1}')
    done = tipstaff(
        "train", data, "--name", "colours", "--out", tmp_path / "b", "--test-file", file
    )
    assert done.returncode == 1
    assert "has no column ground_truth" in done.stderr


def test_says_when_only_one_of_two_files_tells_groups(data, tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text('{"input": "a", "output": "b", "ground_truth": "c", "label": 1}')
    done = tipstaff(
        "train", data, "--name", "colours", "--out", tmp_path / "b", "--test-file", file,
        "--base", "no/such-model",
    )  # fmt: skip
    assert done.returncode == 1
    assert f"{data} has a group column and {file} has none" in done.stderr


def errors_of(done):
    return [line for line in done.stderr.splitlines() if not line.startswith(("warning:", "note:"))]


def test_help_says_which_values_a_setting_takes():
    done = tipstaff("train", "--help")
    assert "--marks forms|words|overlap|off" in done.stdout
    assert "--bf16 true|false" in done.stdout
    assert "--epochs N" in done.stdout
    assert ".csv, .tsv, .jsonl" in " ".join(done.stdout.split())


def test_a_column_that_the_test_file_alone_has_lets_no_row_into_both(tmp_path):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    rows = [{"output": f"answer {index}", "label": index % 2} for index in range(40)]
    train.write_text("\n".join(map(json.dumps, rows)))
    asked = [row | {"input": f"question {index}"} for index, row in enumerate(rows[:10])]
    test.write_text("\n".join(map(json.dumps, asked)))
    done = tipstaff(
        "train", train, "--name", "colours", "--out", tmp_path / "b", "--test-file", test,
        "--base", "no/such-model",
    )  # fmt: skip
    assert f"left out 10 of 40 rows, whose group or texts are also in {test}" in done.stderr


def test_what_explains_an_error_is_said_before_it(data, tmp_path):
    lines = data.read_text().splitlines()
    file = tmp_path / "test.jsonl"
    file.write_text("\n".join(lines[:-4]))
    command = ("train", data, "--name", "colours", "--out", tmp_path / "b", "--test-file", file)
    done = tipstaff(*command)
    assert done.returncode == 1
    assert "of 60 rows, whose group or texts are also in" in done.stderr
    assert "too few to train on" in errors_of(done)[0]
    # The same with no row left at all.
    file.write_text("\n".join(lines))
    done = tipstaff(*command)
    assert done.returncode == 1
    assert errors_of(done)[0].count("no row is left to train on, since each shares its group") == 1


def test_an_out_with_other_files_is_refused_before_the_rows_are_read(tmp_path):
    broken = tmp_path / "rows.csv"
    broken.write_text("")
    done = tipstaff("train", broken, "--name", "colours", "--out", tmp_path)
    assert done.returncode == 1
    assert "of no training run; choose a new or empty folder" in errors_of(done)[0]


MISTAKES = [
    (
        ["--name", "My Evaluator"],
        2,
        "--name My Evaluator: 'My Evaluator' is no name",
    ),
    (["--epochs", "many"], 2, "--epochs many:"),
    (["--size", "medium"], 2, "or: Input should be a valid integer"),
    (["--test-size", "2"], 2, "--test-size 2: Input should be less than 1"),
    (["--base", "no/such-model"], 1, "neither a folder with a model nor a model on the hub"),
    (["--columns", "answer"], 2, "'input', 'output' or 'ground_truth'"),
    (["--map", "label"], 2, "FIELD=COLUMN"),
    (["--golden", "-3"], 2, "--golden"),
    (["--track", "paper"], 2, "--track"),
    (["--cases", "nowhere.yaml"], 2, "nowhere.yaml: no such file"),
    (["--test-file", "nowhere.csv"], 2, "nowhere.csv: no such file"),
]


@pytest.mark.parametrize(("words", "code", "said"), MISTAKES)
def test_mistakes_get_one_line_and_no_traceback(words, code, said, data, tmp_path):
    # argparse takes the last of two --name.
    done = tipstaff("train", data, "--name", "colours", "--out", tmp_path / "b", *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(errors_of(done)) == 1


def test_a_bad_row_is_named(data, tmp_path):
    lines = data.read_text().splitlines()
    broken = json.loads(lines[6]) | {"label": 7}
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([*lines[:6], json.dumps(broken), *lines[7:]]))
    done = tipstaff("train", file, "--name", "colours", "--out", tmp_path / "b")
    assert done.returncode == 1
    assert "row 7" in done.stderr
    assert "label" in done.stderr
    assert not (tmp_path / "b").exists()


def test_rows_of_one_class_are_refused(tmp_path):
    file = write(tmp_path / "rows.jsonl", [row for row in tiny_rows(60) if row.good])
    done = tipstaff("train", file, "--name", "colours", "--out", tmp_path / "b")
    assert done.returncode == 1
    assert "bad" in done.stderr


def test_evaluating_a_folder_that_is_no_bundle_says_so(data, tmp_path):
    done = tipstaff("evaluate", tmp_path, data)
    assert done.returncode == 1
    assert "manifest.json: missing" in done.stderr
    assert "Traceback" not in done.stderr
