"""The files that an interrupted run resumes from."""

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
# The name is transformers', which takes seconds to import.
_STATE_FILE = "trainer_state.json"


def checkpoints_folder(run: Path) -> Path:
    """The folder of a run's checkpoints."""
    return run / "checkpoints"


def latest_checkpoint(run: Path) -> Path | None:
    """The last complete checkpoint of a run; None without one."""
    return max(_complete(run), key=_step, default=None)


def is_begun(run: Path) -> bool:
    """Whether there is something to resume from."""
    return any(
        latest_checkpoint(part) is not None or (part / WEIGHTS_FILE).exists()
        for part in (run, run / TEACHER_FOLDER)
    )


def prepare_resuming(run: Path) -> Path | None:
    """Removes incomplete checkpoints, and the metrics of steps that will be repeated.

    Returns:
        The checkpoint to resume from; None to start at the first step.
    """
    for partial in set(checkpoints_folder(run).glob("checkpoint-*")) - set(_complete(run)):
        shutil.rmtree(partial)
    latest = latest_checkpoint(run)
    _cut_metrics(run / METRICS_FILE, 0 if latest is None else _step(latest))
    return latest


def discard_checkpoints(run: Path) -> None:
    """Removes the run's checkpoints; call it once the weights are stored."""
    shutil.rmtree(checkpoints_folder(run), ignore_errors=True)


def _complete(run: Path) -> list[Path]:
    # The state is written last: if it is incomplete, the writing was interrupted.
    files = checkpoints_folder(run).glob(f"checkpoint-*/{_STATE_FILE}")
    return [file.parent for file in files if _parse(file.read_bytes()) is not None]


def _cut_metrics(file: Path, step: int) -> None:
    """Removes the lines of later steps, and a line that is incomplete."""
    if not file.exists():
        return
    lines = []
    for line in file.read_bytes().splitlines(keepends=True):
        values = _parse(line)
        if values is not None and values.get("step", 0) <= step:
            lines.append(line)
    file.write_bytes(b"".join(lines))


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
