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
from tipstaff_trainer.data.splits import check_split, split_rows
from tipstaff_trainer.data.training_hashes import hash_training_rows, match_training_rows, new_rows

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
    "hash_training_rows",
    "hold_out",
    "join_labels",
    "match_training_rows",
    "new_rows",
    "read_rows",
    "split_rows",
    "united_groups",
    "without_groups_of",
]
