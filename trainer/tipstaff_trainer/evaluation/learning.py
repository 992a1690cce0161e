"""A training run's learning curve, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tipstaff_trainer.evaluation.curves import Curve

_CURVES = {
    "loss": "training loss",
    "eval_calibrated_loss": "validation loss, calibrated",
    "eval_roc_auc": "validation AUROC",
}


def learning_curves(file: Path) -> tuple[Curve, ...]:
    """Losses and AUROC by step from a run's `metrics.jsonl`; empty where there is no such file."""
    if not file.is_file():
        return ()
    points = list(_points(file))
    return tuple(
        Curve(
            name=name,
            x_label="step",
            y_label=name,
            x=tuple(float(point["step"]) for point in points if key in point),
            y=tuple(float(point[key]) for point in points if key in point),
        )
        for key, name in _CURVES.items()
        if any(key in point for point in points)
    )


def _points(file: Path) -> Iterator[dict[str, float]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        # A run that was killed may leave half a line.
        try:
            point = json.loads(line)
        except ValueError:
            continue
        if isinstance(point, dict) and "step" in point:
            yield point
