"""After training: what the figures prove, and the step that follows from it."""

from __future__ import annotations

import pytest
from learnt_examples import AS_GOOD_AS_WORDS, BEHIND_WORDS, NOT_LEARNT
from tiny_bundle import make_bundle
from tiny_training import tiny_rows

from tipstaff.cli import main
from tipstaff.types import Verdict
from tipstaff_server.evaluator.bundle import Bundle, read_manifest, write_manifest
from tipstaff_server.evaluator.cases import Case, Outcome
from tipstaff_server.evaluator.quality import Interval, Quality
from tipstaff_trainer.judge.records import json_line, row_record
from tipstaff_trainer.operations.train import Trained


def quality(n, auroc, low, high):
    return Quality(
        n=n,
        good=n // 2,
        accuracy=Interval(value=0.8, low=0.7, high=0.9, n=n),
        auroc=Interval(value=auroc, low=low, high=high, n=n),
    )


GOOD = quality(200, 0.9, 0.85, 0.94)


@pytest.fixture
def trained(tmp_path, monkeypatch, capsys):
    """Runs the command with a training that ends in a bundle of some quality; returns its words."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json_line(row_record(row)) for row in tiny_rows(40)))
    folder = make_bundle(tmp_path / "bundle")

    def run(*, outcomes=(), words=(), learnt=None, rows_trained_on=5000, **parts):
        metrics = {name: {"n": part.n, "ece": 0.031} for name, part in parts.items()}
        manifest = read_manifest(folder)
        training = manifest.training.model_copy(update={"rows": rows_trained_on})
        changes = {"quality": parts, "metrics": metrics, "learnt": learnt, "training": training}
        write_manifest(folder, manifest.model_copy(update=changes))
        result = Trained(Bundle.open(folder), outcomes)
        monkeypatch.setattr("tipstaff_trainer.cli.train.train", lambda *_: result)
        out = str(tmp_path / "out")
        assert main(["train", str(rows), "--name", "tiny", "--out", out, *words]) == 0
        return capsys.readouterr().out

    return run


def test_every_figure_has_its_interval_or_its_rows(trained):
    said = trained(validation=GOOD, test=GOOD)
    for part in ("validation", "test"):
        assert (
            f"{part}: accuracy 0.800 (0.700 to 0.900), AUROC 0.900 (0.850 to 0.940), ECE 0.031 on "
            "200 rows (100 good, 100 bad), fp32 graph as served"
        ) in said


def test_an_interval_of_everything_is_said_in_words(trained):
    said = trained(validation=GOOD, test=quality(3, 1.0, 0.0, 1.0))
    assert "test: accuracy 0.800 (0.700 to 0.900), AUROC 1.000 (too few rows to say), ECE" in said


def test_a_good_and_well_measured_evaluator_is_to_serve(trained, tmp_path):
    said = trained(validation=GOOD, test=GOOD)
    assert f"next:   tipstaff serve {tmp_path / 'bundle'}\n" in said


def test_one_that_may_be_chance_needs_rows_or_better_labels(trained, tmp_path):
    said = trained(validation=GOOD, test=quality(200, 0.55, 0.47, 0.63))
    assert "tiny is not shown to be better than chance: AUROC 0.550 (0.470 to 0.630) on 200" in said
    assert f"or look for wrong labels: tipstaff label-errors {tmp_path / 'rows.jsonl'}" in said


def test_one_measured_on_a_handful_needs_more(trained, tmp_path):
    said = trained(validation=GOOD, test=quality(12, 1.0, 0.74, 1.0))
    assert "tiny was measured on only 12 test rows (6 good, 6 bad), too few to rely on." in said
    assert "next:   label more rows and train again, or measure it on more: tipstaff " in said


def test_one_without_test_rows_is_to_be_measured(trained, tmp_path):
    said = trained(validation=GOOD)
    assert (
        "next:   measure it on rows that it has not seen: tipstaff evaluate "
        f"{tmp_path / 'bundle'} DATA\n"
    ) in said


def test_wrong_labels_are_looked_for_in_the_same_columns(trained):
    said = trained(
        words=["--map", "output=output"], validation=GOOD, test=quality(200, 0.55, 0.47, 0.63)
    )
    assert "rows.jsonl --map output=output --out FILE\n" in said


def test_one_measured_on_rows_of_one_kind_needs_the_other_kind(trained, tmp_path):
    only_good = GOOD.model_copy(update={"good": GOOD.n, "auroc": None})
    said = trained(validation=GOOD, test=only_good)
    assert "tiny was measured on good rows only (200 test rows), which show nothing about " in said
    bundle = tmp_path / "bundle"
    assert f"next:   measure it on good and bad rows: tipstaff evaluate {bundle} DATA\n" in said


def test_one_that_fails_a_named_case_is_not_to_serve_yet(trained):
    case = Case(name="a late return", expect="block", output="yes")
    failing = Outcome(case, Verdict.PASS, 0.7)
    said = trained(outcomes=[failing], validation=GOOD, test=GOOD)
    assert "next:   label rows like the cases that fail and train again, or correct the " in said


def test_one_that_has_not_learnt_is_not_to_serve(trained, tmp_path):
    said = trained(validation=GOOD, test=GOOD, learnt=NOT_LEARNT)
    assert "tiny is not clearly better than chance (AUROC 0.550 against 0.500" in said
    assert (
        "next:   label more rows, try another --base, or look for wrong labels: tipstaff "
        f"label-errors {tmp_path / 'rows.jsonl'} --out FILE\n"
    ) in said
    assert "tipstaff serve" not in said


def test_one_that_has_not_learnt_from_few_rows_may_start_from_a_general_one(trained, tmp_path):
    few = {"validation": GOOD, "test": GOOD, "learnt": NOT_LEARNT, "rows_trained_on": 80}
    advice = "try another --base, start from a general evaluator with --from, or look for wrong"
    assert advice in trained(**few)
    assert "general evaluator" not in trained(**few, words=["--from", str(tmp_path)])
    assert "general evaluator" not in trained(**few, words=["--base", "another"])


def test_one_behind_word_overlap_says_what_to_use(trained):
    said = trained(validation=GOOD, test=GOOD, learnt=BEHIND_WORDS)
    assert "tiny is not clearly better than word overlap (AUROC 0.850 against 0.950" in said
    assert ", score with word overlap as it is, or look for wrong labels: " in said


def test_one_as_good_as_word_overlap_may_serve_and_says_so(trained):
    said = trained(validation=GOOD, test=GOOD, learnt=AS_GOOD_AS_WORDS)
    assert "tiny is no better than word overlap (AUROC 0.850 against 0.860" in said
    assert "next:   tipstaff serve" in said
