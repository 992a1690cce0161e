"""Labelled interactions from a file: read, joined, checked, split."""

from tipstaff_trainer.data.columns import ALIASES
from tipstaff_trainer.data.dataset import Data, read_rows
from tipstaff_trainer.data.groups import derive_groups, united_groups
from tipstaff_trainer.data.held_out import hold_out, without_groups_of
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
from tipstaff_trainer.data.seen import seen_by, seen_bytes, unseen
from tipstaff_trainer.data.splits import check_split, split_rows

__all__ = [
    "ALIASES",
    "LABEL_SOURCES",
    "SELECTIONS",
    "Data",
    "LabelSource",
    "Row",
    "Selection",
    "check_split",
    "check_trainable",
    "content_id",
    "derive_groups",
    "fingerprint",
    "hold_out",
    "join_labels",
    "read_rows",
    "seen_by",
    "seen_bytes",
    "split_rows",
    "united_groups",
    "unseen",
    "without_groups_of",
]
