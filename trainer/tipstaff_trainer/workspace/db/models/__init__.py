"""What a workspace remembers, as tables.

    Dataset ◀─ Row ◀─┬─ Label        by a criterion, only ever added
     ▲  ▲            ├─ RowLabel     what stands of a row's labels by one criterion
     │  │            ├─ ReviewItem   a row that waits for a person by one, or was seen by one
     │  │            └─ RowScore     what an evaluator's version says of a row
     │  └──────────────── LabelSet   a data set's labels by one criterion, counted
     └─────────────────── Job        work in the background

    Criterion, NamedCase             all else knows a criterion by its name

The same rows may be judged by several criteria, and none of them sees another's labels. What stands
of a row's labels and how many a data set has are written in the same transaction as the label, so
that no page has to scan for them.

Tables grow by adding: columns with a `server_default`, indexes and tables. `upgrading` puts them
into a workspace that was made before they were, and moves what is elsewhere by now.
"""

from __future__ import annotations

from tipstaff_trainer.workspace.db.models.base import Table, now
from tipstaff_trainer.workspace.db.models.criteria import Criterion, NamedCase
from tipstaff_trainer.workspace.db.models.datasets import MOST_EXTRA, Dataset, LabelSet, Row
from tipstaff_trainer.workspace.db.models.jobs import Job, JobKind, JobState
from tipstaff_trainer.workspace.db.models.labels import Label, ReviewItem, RowLabel, RowScore

__all__ = [
    "MOST_EXTRA",
    "Criterion",
    "Dataset",
    "Job",
    "JobKind",
    "JobState",
    "Label",
    "LabelSet",
    "NamedCase",
    "ReviewItem",
    "Row",
    "RowLabel",
    "RowScore",
    "Table",
    "now",
]
