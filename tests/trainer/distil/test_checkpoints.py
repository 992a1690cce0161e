from __future__ import annotations

import json

from tipstaff_trainer.distil.checkpoints import (
    METRICS_FILE,
    checkpoints_folder,
    discard_checkpoints,
    latest_checkpoint,
    prepare_resuming,
)


def checkpoint(run, step, state=None):
    folder = checkpoints_folder(run) / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    if state is None:
        state = json.dumps({"global_step": step})
    (folder / "trainer_state.json").write_text(state)
    return folder


def test_the_last_checkpoint_is_the_one_of_most_steps(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    checkpoint(tmp_path, 900)
    last = checkpoint(tmp_path, 1000)
    assert latest_checkpoint(tmp_path) == last


def test_a_checkpoint_cut_off_in_the_writing_is_none_and_removed(tmp_path):
    whole = checkpoint(tmp_path, 10)
    checkpoint(tmp_path, 20, state='{"global_step": 2')
    checkpoint(tmp_path, 30, state="")
    (checkpoints_folder(tmp_path) / "checkpoint-40").mkdir()
    assert latest_checkpoint(tmp_path) == whole
    assert prepare_resuming(tmp_path) == whole
    assert list(checkpoints_folder(tmp_path).iterdir()) == [whole]


def test_metrics_of_steps_to_be_done_again_are_cut_off(tmp_path):
    lines = [json.dumps({"step": step, "loss": 0.5}) + "\n" for step in range(1, 15)]
    file = tmp_path / METRICS_FILE
    file.write_text("".join(lines) + '{"step": 1')
    checkpoint(tmp_path, 10)
    prepare_resuming(tmp_path)
    assert file.read_text() == "".join(lines[:10])
    discard_checkpoints(tmp_path)
    assert prepare_resuming(tmp_path) is None
    assert file.read_text() == ""
