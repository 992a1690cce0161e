"""Sends a training run's numbers to a tracker, besides `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tipstaff_trainer.errors import TrainingError
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
        raise TrainingError(
            f"tracking with {tracker} needs its package: pip install {tracker}", field="tracker"
        )


def tracking_arguments(run: Path) -> dict[str, Any]:
    """The transformers Trainer's arguments about trackers.

    Each is set up by its own environment variables (WANDB_PROJECT, WANDB_MODE,
    MLFLOW_TRACKING_URI, …); TensorBoard's files go into the run's folder.

    Args:
        run: The run's folder, inside of the bundle's.
    """
    return {
        # `tracker_callbacks` reports: with the Trainer's own, an error of the tracker ends the run.
        "report_to": [],
        "run_name": run.parent.name,
        "logging_dir": str(run / "tensorboard"),
    }


def tracker_callbacks(tracker: Tracker, reporter: Reporter) -> list[TrainerCallback]:
    """The callbacks that send a run's numbers to a tracker; empty for `none`.

    A tracker that can't start ends the run before its first step (`TrainingError`). One that fails
    later gets nothing more, with a warning: hours of training are worth more.

    Raises:
        TrainingError: The tracker can't be set up.
    """
    if tracker == "none":
        return []
    from transformers import TrainerCallback
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    try:
        # Before the callback, which in MLflow's case can't be half made without a traceback.
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
                    f"tracking with {tracker} failed, so from here on its numbers are in "
                    f"metrics.jsonl only: {_one_line(error)}"
                )
                return None

        return wrapper

    for event in vars(TrainerCallback):
        if event.startswith("on_"):
            setattr(callback, event, guard(event, getattr(callback, event)))
    return [callback]


def _cannot_start(tracker: Tracker, error: Exception) -> TrainingError:
    return TrainingError(
        f"tracking with {tracker} can't start, so nothing was trained: {_one_line(error)}",
        field="tracker",
        remedy="mend that, or train without it",
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
