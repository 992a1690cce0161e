"""Evaluators: how one is stored, loaded and run; knows neither grpc nor queues.

`bundle` and `manifest` are an evaluator on disk. `evaluator` loads one and takes an interaction to
a `Prediction`: `encoding` (with `windows` and `marks`) makes token ids of it, `session` runs the
graph, `calibration`, `ood` and `policy` make a score and a verdict of the logits. `explanation`
searches for the words that lowered a score, and `cases` runs a bundle's named cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tipstaff_server.evaluator.evaluator import Evaluator, Prediction

__all__ = ["Evaluator", "Prediction"]


def __getattr__(name: str) -> Any:
    """Imports onnxruntime only for what runs an evaluator: a manifest is read without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tipstaff_server.evaluator import evaluator

    return getattr(evaluator, name)
