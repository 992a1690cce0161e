from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from safetensors.torch import load_model
from tiny_training import tiny_rows, train_bundle

from tipstaff import Interaction, Reason
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.calibration import calibrate
from tipstaff_server.evaluator.manifest import SEEN_FILE, Judge
from tipstaff_trainer.data import new_rows, split_rows
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.lexical import LexicalHead
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.encoders.base import find_base
from tipstaff_trainer.errors import DataError, TrainingError
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.quality import measure_quality
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.progress import TerminalReporter

ALL = ("input", "output", "ground_truth")


def settings(base, **changes):
    return TrainSettings(
        **{"base": str(base), "epochs": 2, "max_length": 64, "learning_rate": 1e-3} | changes
    )


@pytest.fixture(scope="module")
def trained(bert, tmp_path_factory):
    said = {"judge": "gpt-5", "prompt_hash": "0f" * 8}
    rows = [replace(row, extra=said) for row in tiny_rows(120)]
    out = tmp_path_factory.mktemp("trained") / "bundle"
    train_bundle(
        rows[:100],
        out=out,
        settings=settings(bert, rewritten=1),
        test=rows[100:],
        criterion="The colour is right.",
        precisions=("fp32", "int8", "fp16", "fp32"),
    )
    return out


def test_the_manifest_says_what_was_done(trained):
    manifest = Bundle.open(trained).manifest
    assert manifest.name == "colours"
    assert manifest.criterion == "The colour is right."
    assert manifest.fields == ALL
    assert manifest.encoding.order == ("output", "ground_truth", "input")
    assert manifest.base.architecture == "bert"
    assert manifest.training.rows + manifest.training.validation_rows == 100
    assert manifest.training.label_sources == {"judge": 100}
    assert manifest.training.judges == (Judge(name="gpt-5", prompt="0f" * 8, rows=100),)
    assert manifest.training.reviewers is None
    assert manifest.training.settings["epochs"] == 2
    assert all(graph.ood.n == 20 for graph in manifest.graphs)
    rows, seen = tiny_rows(120), Bundle.open(trained).read(SEEN_FILE)
    assert not new_rows(rows[:100], seen, ALL)
    assert [graph.engine for graph in manifest.graphs] == ["int8/cpu", "fp16/cpu", "fp32/cpu"]
    # 100 rows, 20 test rows, and a rewritten row for each of the 80 to train on.
    assert [graph.parity.n for graph in manifest.graphs] == [200, 200, 200]
    assert manifest.training.settings["rewritten"] == 1
    assert manifest.probes.rows == 20
    assert manifest.metrics["test"]["n"] == 20
    assert not manifest.graphs[0].batch_invariant
    assert manifest.graphs[0].calibration.method == "platt"
    learnt = manifest.learnt
    assert (learnt.rows, learnt.n) == ("validation and test", 40)
    names = [each.baseline for each in learnt.comparisons]
    assert names == ["chance", "base rate", "word overlap", "word overlap, reverse"]


def test_each_prediction_says_what_the_manifest_says(trained):
    evaluator = Evaluator.load(trained)
    reasons = evaluator.score(tiny_rows(1)[0].interaction).reasons
    assert (Reason.NOT_LEARNT in reasons) == (not evaluator.manifest.learnt.verdict)
    quality = evaluator.manifest.quality["test"]
    if not evaluator.manifest.learnt.verdict:
        assert quality.bad_passed.value == 0


def test_the_quality_is_what_the_servers_code_measures(trained):
    evaluator = Evaluator.load(trained)
    scored = ScoredRows.score(evaluator, tiny_rows(120)[100:])
    assert measure_quality(scored) == evaluator.manifest.quality["test"]


def test_the_metrics_are_those_of_served_scores(trained):
    evaluator = Evaluator.load(trained)
    assert evaluator.graph.fallback is not None
    rows = tiny_rows(120)[100:]
    scores = np.array([evaluator.score(row.interaction).score for row in rows])
    labels = np.array([row.label for row in rows])
    assert classification_metrics(labels, scores) == evaluator.manifest.metrics["test"]


def test_the_golden_interactions_come_out_as_written(trained):
    evaluator = Evaluator.load(trained)
    golden = evaluator.graph.golden
    assert len(golden) == 8
    for item in golden:
        again = evaluator.score(Interaction(item.input, item.output, item.ground_truth))
        # Without what shared words say of unlike texts: these are made up.
        assert calibrate(again.logit, evaluator.graph.calibration) == item.score
    evaluator.warm_up()
    assert evaluator.degraded == ""


def test_the_run_leaves_its_weights_which_score_as_the_graph_does(trained, bert):
    encoder = find_base(str(bert)).load()
    head = LexicalHead(encoder.config.hidden_size)
    model = EvaluatorModel(encoder, marks="words", lexical=head).eval()
    load_model(model, trained / "training" / "weights.safetensors")
    evaluator = Evaluator.load(trained, precision="fp32")
    encoded = [evaluator.encode(row.interaction) for row in tiny_rows(8)]
    torch = torch_logits(model, encoded, pad_id=evaluator.manifest.encoding.pad_id)
    graph = [float(evaluator.run(item.runs).logits[0]) for item in encoded]
    np.testing.assert_allclose(torch, graph, atol=1e-4)


def test_the_run_leaves_its_curves_and_no_checkpoints(trained):
    lines = [json.loads(line) for line in (trained / "training" / "metrics.jsonl").open()]
    steps = [line["step"] for line in lines if "loss" in line]
    assert steps == sorted(set(steps))
    assert steps[0] == 1
    assert any("eval_loss" in line and "eval_roc_auc" in line for line in lines)
    assert not (trained / "training" / "checkpoints").exists()


def test_the_card_shows_the_metrics_of_the_int8_graph(trained):
    card = (trained / "card.md").read_text()
    assert "| metric | validation | test |" in card
    assert "The colour is right." in card
    assert "not certified" in card


def test_a_folder_with_a_bundle_is_not_written_over(trained):
    before = (trained / "manifest.json").read_bytes()
    with pytest.raises(TrainingError, match="holds a bundle already"):
        train_bundle(tiny_rows(40), name="other", out=trained)
    assert (trained / "manifest.json").read_bytes() == before


def test_a_seed_repeats_a_run_bit_by_bit(bert, tmp_path):
    def logits(name, seed):
        train_bundle(
            tiny_rows(60),
            out=tmp_path / name,
            settings=settings(bert, seed=seed),
        )
        evaluator = Evaluator.load(tmp_path / name)
        return [evaluator.score(row.interaction).logit for row in tiny_rows(60)]

    one, same, other = logits("one", 1), logits("same", 1), logits("other", 2)
    assert one == same
    assert one != other


def test_weights_count(bert, tmp_path):
    """If one class has almost no weight, the evaluator predicts the other class."""
    rows = [replace(row, weight=1.0 if row.good else 1e-6) for row in tiny_rows(80)]
    train_bundle(
        rows,
        out=tmp_path / "b",
        settings=settings(bert, epochs=6, patience=50, learning_rate=1e-2),
    )
    evaluator = Evaluator.load(tmp_path / "b")
    assert np.mean([evaluator.score(row.interaction).logit for row in rows]) > 0.5


def test_label_sources_count_as_the_settings_say(bert, tmp_path):
    sources = {True: "human", False: "judge"}
    rows = [replace(row, label_source=sources[row.good]) for row in tiny_rows(80)]
    train_bundle(
        rows,
        out=tmp_path / "b",
        settings=settings(
            bert, epochs=6, patience=50, learning_rate=1e-2, human_weight=1, judge_weight=1e-6
        ),
    )
    evaluator = Evaluator.load(tmp_path / "b")
    assert np.mean([evaluator.score(row.interaction).logit for row in rows]) > 0.5


def test_a_source_that_counts_for_nothing_is_left_out(bert, tmp_path):
    rows = [
        replace(row, label_source="judge" if index < 40 else "human")
        for index, row in enumerate(tiny_rows(120))
    ]
    bundle = train_bundle(
        rows,
        out=tmp_path / "b",
        settings=settings(bert, batch_size=4, judge_weight=0),
    )
    assert bundle.manifest.training.label_sources == {"human": 80}


def test_a_small_evaluator_has_half_the_layers_and_learns_from_the_full_one(bert, tmp_path):
    out = tmp_path / "b"

    def train():
        return train_bundle(
            tiny_rows(100),
            out=out,
            settings=settings(bert, size="small"),
            unlabelled=[replace(row, label=math.nan) for row in tiny_rows(130)[100:]],
        )

    bundle = train()
    with (out / "training" / "weights.safetensors").open("rb") as file:
        assert b"layer.0." in (header := file.read(20_000))
        assert b"layer.1." not in header
    assert Evaluator.load(out).score(tiny_rows(1)[0].interaction).score == pytest.approx(
        0.5, abs=0.5
    )
    # Unlabelled rows are not counted as labelled.
    assert sum(bundle.manifest.training.label_sources.values()) == 100

    teacher = out / "training" / "teacher" / "metrics.jsonl"
    taught = teacher.read_text()
    assert taught
    (out / "manifest.json").unlink()
    before = teacher.stat().st_mtime_ns
    train()
    assert teacher.stat().st_mtime_ns == before


def small(bert, teacher, out, **changes):
    return train_bundle(
        tiny_rows(100),
        out=out,
        settings=settings(bert, size=1, **changes),
        teacher=teacher,
    )


def test_a_small_evaluator_may_learn_from_one_that_is_there_already(trained, bert, tmp_path):
    small(bert, trained, tmp_path / "b")
    own = tmp_path / "b" / "training" / "teacher"
    weights = trained / "training" / "weights.safetensors"
    assert (own / "weights.safetensors").read_bytes() == weights.read_bytes()
    assert not (own / "metrics.jsonl").exists()


def test_a_teacher_of_another_split_or_without_weights_is_refused(trained, bert, tmp_path):
    with pytest.raises(TrainingError, match="trained with other seed; "):
        small(bert, trained, tmp_path / "a", seed=1)
    with pytest.raises(TrainingError, match="trained with other marks"):
        small(bert, trained, tmp_path / "b", marks="off")
    published = tmp_path / "published"
    shutil.copytree(trained, published, ignore=shutil.ignore_patterns("training"))
    with pytest.raises(TrainingError, match=r"weights\.safetensors is missing"):
        small(bert, published, tmp_path / "c")


RUN = """
import sys
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from tiny_training import tiny_rows, train_bundle
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.progress import TerminalReporter
train_bundle(
    tiny_rows(400), Path(sys.argv[1]),
    TrainSettings(
        base=sys.argv[2], epochs=float(sys.argv[3]), patience=100, batch_size=8, max_length=64
    ),
    reporter=TerminalReporter(),
)
"""


def steps_of(folder):
    lines = [json.loads(line) for line in (folder / "training" / "metrics.jsonl").open()]
    return [line["step"] for line in lines if "loss" in line]


def test_an_interrupted_run_resumes_and_ends_as_if_it_had_not_been(bert, tmp_path, pytestconfig):
    helpers = str(pytestconfig.rootpath / "tests")

    def command(out):
        return [sys.executable, "-c", RUN, str(tmp_path / out), str(bert), "8", helpers]

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("cut"), stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / "cut" / "training" / "checkpoints"
    until = time.monotonic() + 60
    while not list(checkpoints.glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut" / "manifest.json").exists()
    reached = max(steps_of(tmp_path / "cut"))
    # Leftovers of a kill in the middle of writing a checkpoint.
    (checkpoints / "checkpoint-9998").mkdir()
    (checkpoints / "checkpoint-9999").mkdir()
    (checkpoints / "checkpoint-9999" / "trainer_state.json").write_text('{"global_step": 99')

    done = subprocess.run(command("cut"), check=True, capture_output=True, text=True)
    assert "resuming from" in done.stderr
    assert "checkpoint-999" not in done.stderr
    assert reached < 8 * 40
    # Steps after the checkpoint ran twice, but are recorded once.
    for run in ("whole", "cut"):
        assert steps_of(tmp_path / run) == list(range(1, 8 * 40 + 1))
    whole, cut = Evaluator.load(tmp_path / "whole"), Evaluator.load(tmp_path / "cut")
    interaction = Interaction("what colour is the cat", "it is red", "the cat is blue")
    assert cut.score(interaction).logit == pytest.approx(whole.score(interaction).logit, abs=1e-4)


def test_the_last_step_is_evaluated(bert, tmp_path):
    out = tmp_path / "b"
    train_bundle(tiny_rows(90), out=out, settings=settings(bert, epochs=2.4))
    lines = [json.loads(line) for line in (out / "training" / "metrics.jsonl").open()]
    assert max(line["step"] for line in lines if "eval_loss" in line) == max(steps_of(out))


def test_rows_that_weigh_nothing_are_left_out(bert, tmp_path):
    rows = [replace(row, weight=float(index < 40)) for index, row in enumerate(tiny_rows(120))]
    bundle = train_bundle(
        rows,
        out=tmp_path / "b",
        settings=settings(bert, batch_size=4),
    )
    training = bundle.manifest.training
    assert training.rows + training.validation_rows == 40


def test_where_no_source_weighs_anything_the_error_says_so(bert, tmp_path):
    rows = [replace(row, label_source="human") for row in tiny_rows(40)]
    with pytest.raises(DataError, match="and 40 of weight 0, their own or their source's"):
        train_bundle(
            rows,
            out=tmp_path / "b",
            settings=settings(bert, human_weight=0),
        )


def test_an_out_that_cannot_be_written_says_so(bert, tmp_path):
    (tmp_path / "b").write_text("a file")
    with pytest.raises(TrainingError, match="can't be written"):
        train_bundle(tiny_rows(40), out=tmp_path / "b", settings=settings(bert))


def leave_a_run(out, *, checkpoint):
    """Leaves a folder like an interrupted run with other rows."""
    run = out / "training"
    (run / "checkpoints").mkdir(parents=True)
    (run / "run.sha256").write_text("of another run")
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 9.0}\n')
    if checkpoint:
        folder = run / "checkpoints" / "checkpoint-1"
        folder.mkdir()
        (folder / "trainer_state.json").write_text('{"global_step": 1}')


def test_other_rows_do_not_go_on_with_an_interrupted_run(bert, tmp_path):
    leave_a_run(tmp_path / "b", checkpoint=True)
    arguments = {
        "out": tmp_path / "b",
        "settings": settings(bert),
    }
    with pytest.raises(TrainingError, match="add restart to discard it"):
        train_bundle(tiny_rows(40), **arguments)
    train_bundle(tiny_rows(40), restart=True, **arguments)
    assert (tmp_path / "b" / "manifest.json").exists()


def test_a_run_that_came_to_no_checkpoint_is_in_nobodys_way(bert, tmp_path):
    out = tmp_path / "b"
    leave_a_run(out, checkpoint=False)
    train_bundle(tiny_rows(40), out=out, settings=settings(bert))
    steps = steps_of(out)
    assert steps == list(range(1, len(steps) + 1))


def test_a_folder_with_other_files_is_not_written_into(tmp_path):
    (tmp_path / "tokenizer.json").write_text("mine")
    with pytest.raises(TrainingError, match="of no training run"):
        train_bundle(tiny_rows(40), out=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.json"]


def unsplittable():
    """Rows with all bad ones in one group, and seeds that put it on one side or the other."""
    rows = [
        replace(row, label=float(index >= 3), group="bad" if index < 9 else str(index))
        for index, row in enumerate(distinct(40))
    ]
    lost = {
        seed: all(row.good for row in split_rows(rows, 0.2, seed=seed)[0]) for seed in range(50)
    }
    assert set(lost.values()) == {True, False}
    return rows, lost


def distinct(count):
    """Rows of which no two have the same texts, in words that the tiny encoders know."""
    numbers = map(" ".join, product(("one", "two", "three", "four", "five"), repeat=3))
    return [
        replace(row, interaction=replace(row.interaction, input=f"what {number}"))
        for row, number in zip(tiny_rows(count), numbers, strict=False)
    ]


def test_a_split_that_leaves_one_class_to_train_on_stops_the_run(bert, tmp_path):
    rows, lost = unsplittable()
    seed = next(seed for seed in lost if lost[seed])
    with pytest.raises(DataError, match="left to train on is bad"):
        train_bundle(
            rows,
            out=tmp_path / "b",
            settings=settings(bert, seed=seed, validation_size=0.2),
        )


def test_a_split_that_leaves_one_class_to_validate_on_is_told(bert, tmp_path, capsys):
    rows, lost = unsplittable()
    seed = next(seed for seed in lost if not lost[seed])
    train_bundle(
        rows,
        out=tmp_path / "b",
        settings=settings(bert, seed=seed, validation_size=0.2, epochs=1),
        reporter=TerminalReporter(),
    )
    assert "validation rows is bad" in capsys.readouterr().err
