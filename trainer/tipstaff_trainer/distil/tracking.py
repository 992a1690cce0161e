"""Where a training run's numbers go besides `metrics.jsonl`: trackers of the user's choice."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from tipstaff_trainer.errors import TrainingError

Tracker = Literal["none", "wandb", "mlflow", "tensorboard"]
TRACKERS: tuple[Tracker, ...] = get_args(Tracker)


def check_tracker(tracker: Tracker) -> None:
    """Says before training what is missing.

    Raises:
        TrainingError: The tracker's package isn't installed.
    """
    if tracker != "none" and find_spec(tracker) is None:
        raise TrainingError(f"tracking with {tracker} needs its package: pip install {tracker}")


def tracking_arguments(tracker: Tracker, run: Path) -> dict[str, Any]:
    """What the transformers Trainer is told of a tracker.

    Each is set up by its own environment variables (WANDB_PROJECT, WANDB_MODE,
    MLFLOW_TRACKING_URI, …); TensorBoard's files go into the run's folder.

    Args:
        tracker: Which.
        run: The run's folder, inside of the bundle's.
    """
    return {
        "report_to": [] if tracker == "none" else [tracker],
        "run_name": run.parent.name,
        "logging_dir": str(run / "tensorboard"),
    }
