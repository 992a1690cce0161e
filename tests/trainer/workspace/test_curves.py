"""A training's curves, read while they are written."""

from __future__ import annotations

import json

from tipstaff_trainer.workspace.evaluators.curves import Curves, read_curves


def test_a_run_that_has_logged_nothing_has_no_curves(tmp_path):
    assert read_curves(tmp_path / "metrics.jsonl") == Curves()


def test_lines_that_are_no_metrics_are_left_out(tmp_path):
    file = tmp_path / "metrics.jsonl"
    lines = [
        json.dumps({"step": 1, "epoch": 0.5, "loss": 0.7}),
        "[1]",
        json.dumps({"loss": 0.6}),
        json.dumps({"step": "2", "loss": 0.6}),
        json.dumps({"step": 2, "loss": None, "eval_accuracy": True}),
        json.dumps({"step": 3, "loss": float("nan"), "eval_roc_auc": 0.8, "epoch": 1}),
        json.dumps({"step": 4, "eval_calibrated_loss": 0.3, "eval_accuracy": 0.9})[:-4],
    ]
    file.write_text("\n".join(lines))
    curves = read_curves(file)
    assert curves == Curves(
        loss=[(1, 0.7)], validation_loss=[], accuracy=[], auroc=[(3, 0.8)], epoch=1.0
    )


def test_a_long_run_s_loss_is_averaged(tmp_path):
    file = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": n, "loss": n % 2}) for n in range(1, 1001)]
    file.write_text("\n".join(lines))
    loss = read_curves(file).loss
    assert len(loss) <= 400
    assert loss[-1][0] == 1000
    assert abs(sum(value for _, value in loss) / len(loss) - 0.5) < 0.01
