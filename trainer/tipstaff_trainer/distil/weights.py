"""The trained model's weights in a run's folder: what exports and smaller evaluators start from."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_model, save_model

from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE, discard_checkpoints
from tipstaff_trainer.distil.model import EvaluatorModel


def save_weights(model: EvaluatorModel, run: Path) -> None:
    """Stores a trained model's weights, and discards the checkpoints that they replace."""
    # Written under another name first: a resumed run takes a file of this name for complete.
    partial = run / f"{WEIGHTS_FILE}.partial"
    save_model(model, str(partial))
    partial.replace(run / WEIGHTS_FILE)
    discard_checkpoints(run)


def load_weights(model: EvaluatorModel, run: Path) -> bool:
    """Loads the weights into a model of the same shape.

    Returns:
        False where the run has none yet.
    """
    file = run / WEIGHTS_FILE
    if not file.exists():
        return False
    load_model(model, str(file))
    return True
