"""Labelled interactions from a file: read, joined, checked, split."""

from tipstaff_trainer.data.dataset import Data, read_rows, rows_of_table
from tipstaff_trainer.data.groups import united_groups
from tipstaff_trainer.data.held_out import hold_out, without_groups_of
from tipstaff_trainer.data.label_meaning import LabelMeaning
from tipstaff_trainer.data.rows import (
    LABEL_SOURCES,
    LabelSource,
    Row,
    Selection,
    check_trainable,
    fingerprint,
)
from tipstaff_trainer.data.splits import check_split, split_rows
from tipstaff_trainer.data.training_hashes import hash_training_rows, match_training_rows, new_rows

__all__ = [
    "LABEL_SOURCES",
    "Data",
    "LabelMeaning",
    "LabelSource",
    "Row",
    "Selection",
    "check_split",
    "check_trainable",
    "fingerprint",
    "hash_training_rows",
    "hold_out",
    "match_training_rows",
    "new_rows",
    "read_rows",
    "rows_of_table",
    "split_rows",
    "united_groups",
    "without_groups_of",
]
