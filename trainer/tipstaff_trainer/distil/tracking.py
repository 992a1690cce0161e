"""Where a training run's numbers go besides `metrics.jsonl`: trackers of the user's choice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from tipstaff_trainer.errors import TrainingError

if TYPE_CHECKING:
    from transformers import TrainerCallback

Tracker = Literal["none", "wandb", "mlflow", "tensorboard"]
TRACKERS: tuple[Tracker, ...] = get_args(Tracker)

log = logging.getLogger(__name__)


def check_tracker(tracker: Tracker) -> None:
    """Says before training what is missing.

    Raises:
        TrainingError: The tracker's package isn't installed.
    """
    if tracker != "none" and find_spec(tracker) is None:
        raise TrainingError(f"tracking with {tracker} needs its package: pip install {tracker}")


def tracking_arguments(run: Path) -> dict[str, Any]:
    """What the transformers Trainer is told of trackers.

    Each is set up by its own environment variables (WANDB_PROJECT, WANDB_MODE,
    MLFLOW_TRACKING_URI, …); TensorBoard's files go into the run's folder.

    Args:
        run: The run's folder, inside of the bundle's.
    """
    return {
        # By its callback instead: the Trainer's own would end a run with the tracker's errors.
        "report_to": [],
        "run_name": run.parent.name,
        "logging_dir": str(run / "tensorboard"),
    }


def tracker_callbacks(tracker: Tracker) -> list[TrainerCallback]:
    """What brings a run's numbers to a tracker, for the transformers Trainer; nothing for `none`.

    One that can't start ends the run before its first step (`TrainingError`). One that fails later
    is left alone from then on, with a warning: hours of training are worth more.

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
    lost = False

    def guarded(event: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **given: Any) -> Any:
            nonlocal lost
            if lost:
                return None
            try:
                return call(*args, **given)
            except Exception as error:
                if event == "on_train_begin":
                    raise _cannot_start(tracker, error) from error
                lost = True
                log.warning(
                    "tracking with %s failed, so from here on its numbers are in metrics.jsonl "
                    "only: %s",
                    tracker,
                    _said(error),
                )
                return None

        return called

    for event in vars(TrainerCallback):
        if event.startswith("on_"):
            setattr(callback, event, guarded(event, getattr(callback, event)))
    return [callback]


def _cannot_start(tracker: Tracker, error: Exception) -> TrainingError:
    return TrainingError(
        f"tracking with {tracker} can't start, so nothing was trained: {_said(error)}; mend that, "
        "or train without it"
    )


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
