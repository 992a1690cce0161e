from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tiny_training import tiny_rows

from tipstaff import Interaction
from tipstaff.cli import main
from tipstaff_trainer.encoders.base import find_base
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.label_quality.label_errors import (
    _echo,
    find_label_errors,
    likely_errors,
    out_of_fold,
    self_confidence,
)

ROWS = tiny_rows(120)
WRONG = {"4", "17", "33", "58", "71", "96"}
MISTAKEN = [replace(row, label=1 - row.label) if row.id in WRONG else row for row in ROWS]


@pytest.fixture(scope="module")
def suspects(bert):
    return find_label_errors(MISTAKEN, find_base(str(bert)), folds=4)


def test_flipped_labels_come_first_and_are_called_likely(suspects):
    assert len(suspects) == len(ROWS)
    assert {suspect.row.id for suspect in suspects[: 2 * len(WRONG)]} >= WRONG
    likely = {suspect.row.id for suspect in suspects if suspect.likely}
    assert likely >= WRONG
    assert len(likely) < len(ROWS) / 3


def test_no_row_is_judged_by_its_own_group():
    """The features only name the group: a classifier trained on it would know the label."""
    rows = [replace(row, label=float(int(row.group) % 2)) for row in ROWS]
    matrix = np.eye(60)[[int(row.group) for row in rows]] * 100
    found = out_of_fold(matrix, rows, folds=3, seed=0)
    assert np.ptp(found) < 0.1


def test_an_unsure_label_says_less():
    """Predictions for one kind of row follow how sure the labels of that kind are."""
    kind = np.array([int(row.group) % 2 for row in ROWS])
    matrix = np.eye(2)[kind] * 10

    def said(label):
        rows = [replace(r, label=label if k else 1.0) for r, k in zip(ROWS, kind, strict=True)]
        return out_of_fold(matrix, rows, folds=3, seed=0)[kind == 1].mean()

    assert said(0.0) < 0.1
    assert said(0.3) == pytest.approx(0.3, abs=0.05)
    assert said(0.0) < said(0.1) < said(0.3) < said(0.45)


def test_confident_learning_by_hand():
    labels = np.array([1, 1, 1, 0, 0, 0], dtype=float)
    probabilities = np.array([0.9, 0.8, 0.1, 0.1, 0.2, 0.9])
    # Good rows have 0.6 on average, bad ones 0.4.
    assert likely_errors(labels, probabilities).tolist() == [False, False, True] * 2
    # If the classifier is seldom sure of a class, less confidence in it is enough.
    shy = np.array([0.4, 0.35, 0.1, 0.05, 0.1, 0.38])
    assert likely_errors(labels, shy).tolist() == [False, False, True, False, False, True]


def test_outputs_for_one_input_echo_each_other():
    outputs = ["The capital is Paris.", "Paris", "It is Lyon, I think", "Paris"]
    rows = [Interaction("What is the capital?", text) for text in outputs]
    rows += [Interaction("Who?", "Paris"), Interaction("", "Paris"), Interaction(None, "Paris")]
    echoes = _echo(rows)
    # Without stop words and the input's words, the first says Paris, like two of three others.
    assert echoes[0] == pytest.approx([2 / 3, 2 / 3])
    assert echoes[1] == pytest.approx([2 / 3, 2 / 3])
    assert echoes[2] == pytest.approx([0, 0])
    # Rows alone with their input, or without an input.
    assert not echoes[4:].any()


def test_a_longer_output_holds_the_others_and_not_the_other_way_round():
    rows = [Interaction("q", "red green blue grey"), Interaction("q", "red")]
    assert _echo(rows) == pytest.approx(np.array([[0.25, 1], [1, 0.25]]))


def test_agreement_with_a_soft_label_is_soft():
    found = self_confidence(np.array([1, 0, 0.5, 0.8]), np.array([0.9, 0.9, 0.9, 1.0]))
    assert found == pytest.approx([0.9, 0.1, 0.5, 0.8])


def test_more_folds_than_groups_of_a_class_are_refused(bert, capsys):
    one_group = [replace(row, group="a") if not row.good else row for row in ROWS]
    with pytest.raises(DataError, match=r"bad rows are in 1 group, too few for 5 folds"):
        find_label_errors(one_group, find_base(str(bert)))
    # Fails before the texts are read.
    assert "frozen encoder" not in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_command_lists_them_and_leaves_the_data_alone(bert, suspects, tmp_path, capsys, suffix):
    data, out = tmp_path / "rows.jsonl", tmp_path / f"errors.{suffix}"
    with data.open("w") as file:
        for row in MISTAKEN:
            texts = {name: row.interaction.get(name) for name in ("input", "output")}
            file.write(
                json.dumps(
                    {"ground_truth": row.interaction.ground_truth, "label": row.label, **texts}
                    | {"id": row.id, "group": row.group}
                )
                + "\n"
            )
    before = data.read_bytes()
    words = ["label-errors", str(data), "--out", str(out), "--base", str(bert), "--folds", "4"]
    assert main(words) == 0
    said = capsys.readouterr().out
    listed = (
        list(csv.DictReader(out.open()))
        if suffix == "csv"
        else [json.loads(line) for line in out.read_text().splitlines()]
    )
    assert [record["id"] for record in listed] == [one.row.id for one in suspects if one.likely]
    assert f"{len(listed)} of 120 labels are likely wrong" in said
    area = roc_auc_score([one.row.good for one in suspects], [one.probability for one in suspects])
    assert f"with an AUROC of {area:.3f} (" in said
    assert ") on 120 rows." in said
    assert data.read_bytes() == before
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err


def test_the_list_needs_a_known_ending(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("output,label\na,1\n")
    assert main(["label-errors", str(tmp_path / "rows.csv"), "--out", "x.txt"]) == 2
    assert ".csv or .jsonl" in capsys.readouterr().err
