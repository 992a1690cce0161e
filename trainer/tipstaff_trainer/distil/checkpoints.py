"""The files that an interrupted run leaves to resume from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

METRICS_FILE = "metrics.jsonl"
# The trained model in fp32: quantised graphs can't be turned back into it.
WEIGHTS_FILE = "weights.safetensors"
# In a small evaluator's run: the run of the full one that it learns from.
TEACHER_FOLDER = "teacher"
_CHECKPOINTS = "checkpoints"
# As transformers names it, which takes seconds to import.
_STATE_FILE = "trainer_state.json"


def checkpoints_folder(run: Path) -> Path:
    """Where the checkpoints of a run are."""
    return run / _CHECKPOINTS


def latest_checkpoint(run: Path) -> Path | None:
    """The last checkpoint of a run that was written completely."""
    return max(_whole(run), key=_step, default=None)


def is_begun(run: Path) -> bool:
    """Whether there is something to resume from."""
    return any(
        latest_checkpoint(part) is not None or (part / WEIGHTS_FILE).exists()
        for part in (run, run / TEACHER_FOLDER)
    )


def prepare_resuming(run: Path) -> Path | None:
    """Removes half-written checkpoints, and the metrics of steps that will be repeated.

    Returns:
        The checkpoint to resume from; None to start at the first step.
    """
    for half in set(checkpoints_folder(run).glob("checkpoint-*")) - set(_whole(run)):
        shutil.rmtree(half)
    latest = latest_checkpoint(run)
    _cut_metrics(run / METRICS_FILE, 0 if latest is None else _step(latest))
    return latest


def discard_checkpoints(run: Path) -> None:
    """Removes the run's resume files, once there is a bundle."""
    shutil.rmtree(checkpoints_folder(run), ignore_errors=True)


def _whole(run: Path) -> list[Path]:
    # The state is written last: without a whole one, the writing was interrupted.
    files = checkpoints_folder(run).glob(f"checkpoint-*/{_STATE_FILE}")
    return [file.parent for file in files if _parsed(file.read_bytes()) is not None]


def _cut_metrics(file: Path, step: int) -> None:
    if not file.exists():
        return
    lines = []
    for line in file.read_bytes().splitlines(keepends=True):
        values = _parsed(line)
        if values is not None and values.get("step", 0) <= step:
            lines.append(line)
    file.write_bytes(b"".join(lines))


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
