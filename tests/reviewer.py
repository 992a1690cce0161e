"""A person at the review queue."""

from __future__ import annotations

from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import LabelSet


def review_all(workspace: Workspace, labels: LabelSet, who: str) -> list[int]:
    """Calls every row good that the queue has for a person; gives the rows in order."""
    seen = []
    while (item := workspace.reviews.claim(labels, who)) is not None:
        row = workspace.datasets.row(item.row_id, labels)
        workspace.reviews.submit(item.id, 1.0, who=who, based_on_label_id=row.last_label_id)
        seen.append(item.row_id)
    return seen
