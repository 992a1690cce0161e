"""Sends a training run's numbers to a tracker, in addition to `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tipstaff_trainer.errors import TrainingError, one_line
from tipstaff_trainer.progress import Reporter

if TYPE_CHECKING:
    from transformers import TrainerCallback

Tracker = Literal["none", "wandb", "mlflow", "tensorboard"]


def check_tracker(tracker: Tracker) -> None:
    """Checks that a tracker's package is installed.

    Raises:
        TrainingError: It isn't.
    """
    if tracker != "none" and find_spec(tracker) is None:
        message = f"tracking with {tracker} needs its package: pip install {tracker}"
        raise TrainingError(message, field="tracker")


def tracking_arguments(run: Path) -> dict[str, Any]:
    """The transformers Trainer's arguments on tracking, for a run's folder in the bundle's.

    Environment variables set each tracker up (WANDB_PROJECT, WANDB_MODE, MLFLOW_TRACKING_URI, …);
    TensorBoard's files go into the run's folder.
    """
    # No `report_to`: with the Trainer's own callbacks, an error of a tracker ends the run.
    logs = str(run / "tensorboard")
    return {"report_to": [], "run_name": run.parent.name, "logging_dir": logs}


def tracker_callbacks(tracker: Tracker, reporter: Reporter) -> list[TrainerCallback]:
    """The callbacks that send a run's numbers to a tracker; empty for `none`.

    A tracker that can't start ends the run before its first step (`TrainingError`). After a later
    failure it gets no more numbers, with a warning: hours of training are worth more.

    Raises:
        TrainingError: The tracker can't be set up.
    """
    if tracker == "none":
        return []
    from transformers import TrainerCallback
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    try:
        # Before the callback: MLflow's prints a traceback where its constructor fails.
        import_module(tracker)
        (kind,) = get_reporting_integration_callbacks([tracker])  # type: ignore[no-untyped-call]
        callback: TrainerCallback = kind()
    except Exception as error:
        raise _cannot_start(tracker, error) from error
    failed = False

    def guard(event: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal failed
            if failed:
                return None
            try:
                return call(*args, **kwargs)
            except Exception as error:
                if event == "on_train_begin":
                    raise _cannot_start(tracker, error) from error
                failed = True
                reporter.warn(
                    f"tracking with {tracker} failed, so the numbers from here on are in "
                    f"metrics.jsonl only: {one_line(error)}"
                )
                return None

        return wrapper

    for event in vars(TrainerCallback):
        if event.startswith("on_"):
            setattr(callback, event, guard(event, getattr(callback, event)))
    return [callback]


def _cannot_start(tracker: Tracker, error: Exception) -> TrainingError:
    message = f"can't start, so nothing was trained: {one_line(error)}"
    remedy = "fix that, or train without tracking"
    return TrainingError(message, field="tracker", value=tracker, remedy=remedy)
