"""Labelled interactions from a file: read, joined, checked, split."""

from tipstaff_trainer.data.columns import ALIASES
from tipstaff_trainer.data.dataset import Data, read_rows
from tipstaff_trainer.data.rows import (
    LABEL_SOURCES,
    SELECTIONS,
    LabelSource,
    Row,
    Selection,
    check_trainable,
    content_id,
    fingerprint,
    join_labels,
)
from tipstaff_trainer.data.splits import derive_groups, split_rows, without_groups_of

__all__ = [
    "ALIASES",
    "LABEL_SOURCES",
    "SELECTIONS",
    "Data",
    "LabelSource",
    "Row",
    "Selection",
    "check_trainable",
    "content_id",
    "derive_groups",
    "fingerprint",
    "join_labels",
    "read_rows",
    "split_rows",
    "without_groups_of",
]
