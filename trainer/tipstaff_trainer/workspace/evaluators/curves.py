"""A training's curves, from the metrics that it has logged so far."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Curves:
    """A training run's logged metrics, as (step, value) pairs in order."""

    loss: Sequence[tuple[float, float]] = ()
    validation_loss: Sequence[tuple[float, float]] = ()
    accuracy: Sequence[tuple[float, float]] = ()
    auroc: Sequence[tuple[float, float]] = ()
    epoch: float = 0.0


def read_curves(file: Path) -> Curves:
    """Reads a run's `metrics.jsonl`; metrics that are not logged yet are empty."""
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    epoch = 0.0
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return Curves()
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line that is only half written
        if not isinstance(entry, Mapping) or not isinstance(step := entry.get("step"), int):
            continue
        epoch = max(epoch, _number(entry.get("epoch")) or 0.0)
        for name in entry:
            if (value := _number(entry[name])) is not None:
                series[name].append((step, value))
    return Curves(
        loss=_downsample(series["loss"]),
        validation_loss=series["eval_calibrated_loss"],
        accuracy=series["eval_accuracy"],
        auroc=series["eval_roc_auc"],
        epoch=epoch,
    )


def _downsample(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `_MOST_POINTS` points; neighbours are averaged if there are more."""
    size = math.ceil(len(points) / _MOST_POINTS) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
