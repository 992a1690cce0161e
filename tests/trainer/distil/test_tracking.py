"""Real trackers, offline: each one's own files must have what a training run logs."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tools import require_package

from tipstaff_trainer.distil import tracking
from tipstaff_trainer.errors import TrainingError
from tipstaff_trainer.progress import TerminalReporter

# In a process of its own: trackers keep state of a process, and read their variables at import.
RUN = """
import sys
sys.path.insert(0, sys.argv[4])
from pathlib import Path
from tiny_training import tiny_rows
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.manifest import Encoding
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.encoders.base import find_base
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.distil.training import train_model
base = find_base(sys.argv[2])
special = base.special
encoder = Encoder(base.tokenizer.to_str(), Encoding(
    order=("output", "ground_truth"), marks="overlap", max_length=64,
    cls_id=special.cls, sep_id=special.sep, pad_id=special.pad,
))
rows = tiny_rows(48)
settings = TrainSettings(base=sys.argv[2], epochs=2, max_length=64, batch_size=16)
folder = Path(sys.argv[1]) / "training"
folder.mkdir(parents=True)
train_model(lambda: EvaluatorModel(base.load(), marks="overlap"),
            EncodedRows.of(rows[:32], encoder), EncodedRows.of(rows[32:], encoder),
            settings.resolve(rows=48, hidden_size=32), folder, pad_id=special.pad,
            tracker=sys.argv[3])
"""


def run(tracker, out, bert, **variables):
    """Runs a training of four steps."""
    require_package(tracker)
    helpers = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", RUN, str(out), str(bert), tracker, helpers],
        capture_output=True,
        text=True,
        cwd=out.parent,
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | variables,
    )


def train(tracker, out, bert, **variables):
    """Runs a training to its end; returns its losses by step from `metrics.jsonl`."""
    done = run(tracker, out, bert, **variables)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "training" / "metrics.jsonl").open()]
    losses = {line["step"]: line["loss"] for line in lines if "loss" in line}
    assert sorted(losses) == [1, 2, 3, 4]
    return losses


def test_tensorboard(bert, tmp_path):
    losses = train("tensorboard", tmp_path / "b", bert)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "b" / "training" / "tensorboard"))
    events.Reload()
    found = {event.step: event.value for event in events.Scalars("train/loss")}
    assert found == pytest.approx(losses)
    assert {"eval/calibrated_loss", "eval/roc_auc"} <= set(events.Tags()["scalars"])


def test_mlflow(bert, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    losses = train("mlflow", tmp_path / "b", bert, MLFLOW_TRACKING_URI=uri)
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("Default").experiment_id])
    assert run.info.run_name == "b"
    assert run.info.status == "FINISHED"
    found = {
        metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "loss")
    }
    assert found == pytest.approx(losses)
    assert "eval_roc_auc" in run.data.metrics


def test_wandb(bert, tmp_path):
    losses = train(
        "wandb",
        tmp_path / "b",
        bert,
        WANDB_MODE="offline",
        WANDB_DIR=str(tmp_path),
        WANDB_SILENT="true",
    )
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = tmp_path.rglob("*.wandb")
    found = {}
    for data in leveldb_records(file.read_bytes()):
        items = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for item in Record.FromString(data).history.item
        }
        if "train/loss" in items:
            found[items["train/global_step"]] = items["train/loss"]
    assert found == pytest.approx(losses)


def leveldb_records(log):
    """The records of W&B's log: LevelDB blocks of 32 KiB after a header of 7 bytes.

    See https://github.com/google/leveldb/blob/main/doc/log_format.md.
    """
    place, parts = 7, []
    while place + 7 <= len(log):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", log, place)
        parts.append(log[place + 7 : place + 7 + length])
        place += 7 + length
        # 1 is a full record and 4 the last part of one; 2 and 3 are first and middle parts.
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


def test_a_missing_package_is_told_before_training(monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(
        TrainingError, match="tracking with wandb needs its package: pip install wandb"
    ):
        tracking.check_tracker("wandb")
    tracking.check_tracker("none")


@pytest.mark.parametrize(
    ("tracker", "variables"),
    [
        ("mlflow", {"MLFLOW_TRACKING_URI": "nowhere://there"}),
        # An invalid key, which wandb itself recognises.
        ("wandb", {"WANDB_MODE": "online", "WANDB_API_KEY": "short", "WANDB_SILENT": "true"}),
    ],
)
def test_a_tracker_that_can_not_start_ends_the_run_before_its_first_step(
    tracker, variables, bert, tmp_path
):
    done = run(tracker, tmp_path / "b", bert, **variables)
    assert f"TrainingError: tracker {tracker}: can't start, so nothing was trained" in done.stderr
    assert not (tmp_path / "b" / "training" / "metrics.jsonl").exists()


def tensorboard(folder):
    """TensorBoard's callback, and the arguments that the Trainer passes to it."""
    from transformers import TrainerControl, TrainerState, TrainingArguments

    (callback,) = tracking.tracker_callbacks("tensorboard", TerminalReporter())
    arguments = TrainingArguments(
        output_dir=str(folder), use_cpu=True, **tracking.tracking_arguments(folder)
    )
    return callback, (arguments, TrainerState(), TrainerControl())


def test_where_its_files_can_not_be_written_it_is_told_in_one_line(tmp_path):
    (tmp_path / "tensorboard").write_text("in the way")
    callback, given = tensorboard(tmp_path)
    with pytest.raises(
        TrainingError,
        match=r"^tracker tensorboard: can't start, so nothing was trained: .*exists.*; fix",
    ):
        callback.on_train_begin(*given)


def test_one_that_fails_in_mid_run_is_left_alone_with_one_warning(tmp_path, capsys, monkeypatch):
    callback, given = tensorboard(tmp_path)
    callback.on_train_begin(*given)

    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(callback.tb_writer, "add_scalar", full)
    callback.on_log(*given, logs={"loss": 0.5})
    callback.on_log(*given, logs={"loss": 0.4})
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: tracking with tensorboard failed")
    assert warning.endswith("No space left on device")
