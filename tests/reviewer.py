"""Reviews rows as a person would."""

from __future__ import annotations

from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import LabelSet


def review_all(workspace: Workspace, labels: LabelSet, who: str) -> list[int]:
    """Labels every row good that the queue offers a person; returns the row ids in order."""
    row_ids = []
    while (item := workspace.stores.reviews.claim(labels, who)) is not None:
        row = workspace.stores.datasets.row(item.row_id, labels)
        workspace.stores.reviews.submit(item.id, 1.0, who=who, based_on_label_id=row.last_label_id)
        row_ids.append(item.row_id)
    return row_ids
