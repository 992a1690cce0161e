"""The workspace's tables.

    Dataset ◀─ DatasetRow ◀─┬─ Label        one label by one criterion; append-only
     ▲  ▲                   ├─ RowLabel     the row's effective label by one criterion
     │  │                   ├─ ReviewItem   the row in one criterion's review queue
     │  │                   └─ RowScore     an evaluator version's score of the row
     │  └────── LabelSet    a data set's labels by one criterion, counted
     └───────── Job         a background job

    StoredCriterion, NamedCase              other tables refer to a criterion by name

The same rows may be judged by several criteria, and labels by one criterion never count for
another. A row's effective label and the data set's counts are written in the same transaction as
the label, so that no page has to scan the log.

`db.migrations` creates the tables. A change to a model needs a new revision there.
"""

from __future__ import annotations

from tipstaff_trainer.workspace.db.models.base import DatabaseModel, now
from tipstaff_trainer.workspace.db.models.criteria import NamedCase, StoredCriterion
from tipstaff_trainer.workspace.db.models.datasets import MOST_EXTRA, Dataset, DatasetRow, LabelSet
from tipstaff_trainer.workspace.db.models.jobs import Job, JobKind, JobState
from tipstaff_trainer.workspace.db.models.labels import Label, ReviewItem, RowLabel, RowScore

__all__ = [
    "MOST_EXTRA",
    "DatabaseModel",
    "Dataset",
    "DatasetRow",
    "Job",
    "JobKind",
    "JobState",
    "Label",
    "LabelSet",
    "NamedCase",
    "ReviewItem",
    "RowLabel",
    "RowScore",
    "StoredCriterion",
    "now",
]
