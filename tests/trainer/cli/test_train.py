"""The commands as people type them, mistakes included."""

from __future__ import annotations

import json
import os
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
        "--epochs", 1, "--max-length", 64, "--test-size", 0.2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "60 rows" not in done.stderr
    assert "rows are few" in done.stderr
    assert "test: accuracy" in done.stdout
    assert f"tipstaff serve {out}" in done.stdout
    return out


def test_train_puts_the_manifest_into_out(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["schema_version"] == 1
    assert manifest["name"] == "colours"
    assert set(manifest["checksums"]) == {"model.int8.onnx", "tokenizer.json", "card.md"}


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


def test_an_interaction_can_be_trained_on_part_of_its_fields(bert, data, tmp_path):
    done = tipstaff(
        "train", data, "--name", "colours", "--out", tmp_path / "b", "--base", bert,
        "--epochs", 1, "--max-length", 64, "--columns", "output,ground_truth",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["encoding"]["order"] == ["output", "ground_truth"]


def test_evaluate_says_what_the_rows_lack(bundle, data, tmp_path):
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    for row in rows:
        del row["ground_truth"]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    done = tipstaff("evaluate", bundle, file, "--json")
    assert done.returncode == 0, done.stderr
    assert "rows lack a field that the evaluator was trained on" in done.stderr
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


MISTAKES = [
    (["--name", "My Evaluator"], 2, "--name: 'My Evaluator': lower-case letters"),
    (["--epochs", "many"], 2, "--epochs many:"),
    (["--test-size", "2"], 2, "between 0 and 1"),
    (["--base", "no/such-model"], 1, "neither a folder with a model nor to be had from the hub"),
    (["--columns", "answer"], 2, "input, output, ground_truth"),
    (["--map", "label"], 2, "FIELD=COLUMN"),
    (["--golden", "-3"], 2, "--golden"),
    (["--test-file", "nowhere.csv"], 2, "nowhere.csv: no such file"),
]


@pytest.mark.parametrize(("words", "code", "said"), MISTAKES)
def test_mistakes_get_one_line_and_no_traceback(words, code, said, data, tmp_path):
    # argparse takes the last of two --name.
    done = tipstaff("train", data, "--name", "colours", "--out", tmp_path / "b", *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    errors = [line for line in done.stderr.splitlines() if not line.startswith("warning:")]
    assert len(errors) == 1


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
