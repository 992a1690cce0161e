"""Distils labelled interactions into evaluators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tipstaff_trainer import privacy as privacy

if TYPE_CHECKING:
    from tipstaff_trainer.workspace import Metric, Workspace, example_dataset

__all__ = ["Metric", "Workspace", "example_dataset"]


def __getattr__(name: str) -> Any:
    # Only when asked for: training alone does without a database.
    if name in __all__:
        from tipstaff_trainer import workspace

        return getattr(workspace, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
