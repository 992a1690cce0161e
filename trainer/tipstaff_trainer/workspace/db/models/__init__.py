"""The workspace's tables.

    Dataset ◀─ DatasetRow ◀─┬─ Label        one label by one criterion; append-only
     ▲  ▲                   ├─ RowLabel     the row's effective label by one criterion
     │  │                   ├─ ReviewItem   the row in one criterion's review queue
     │  │                   └─ RowScore     an evaluator version's score of the row
     │  └────── LabelSet    a data set's labels by one criterion, counted
     └───────── Job         a background job

    TrafficRow ──▶ DatasetRow               an answer that a server kept; its texts are the row
    TrafficCount, TrafficReason             counts of all answers, kept or not
    TrafficHour, TrafficPolicy, TrafficAttribute    what pages read quickly
    TrafficFeedback, TrafficSegment, TrafficSource, TrafficErased
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
from tipstaff_trainer.workspace.db.models.traffic import (
    TrafficAttribute,
    TrafficCount,
    TrafficErased,
    TrafficFeedback,
    TrafficHour,
    TrafficPolicy,
    TrafficReason,
    TrafficRow,
    TrafficSegment,
    TrafficSource,
)

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
    "TrafficAttribute",
    "TrafficCount",
    "TrafficErased",
    "TrafficFeedback",
    "TrafficHour",
    "TrafficPolicy",
    "TrafficReason",
    "TrafficRow",
    "TrafficSegment",
    "TrafficSource",
    "now",
]
