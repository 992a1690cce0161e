"""Where a team keeps rows, labels, jobs and evaluators, and what can be done with them."""

from tipstaff_trainer.workspace.workspace import Workspace

__all__ = ["Workspace"]
