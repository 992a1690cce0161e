"""From raw traces to labels: criteria, the judge, and its ledger."""

from tipstaff_trainer.judge.criteria import Criterion, builtin_criteria, load_criterion
from tipstaff_trainer.judge.estimate import Estimate, estimate
from tipstaff_trainer.judge.examples import choose_examples
from tipstaff_trainer.judge.job import Progress
from tipstaff_trainer.judge.labelling import (
    JudgedRow,
    Labelled,
    LabelledRows,
    label_rows,
)
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.replies import LabelKind
from tipstaff_trainer.judge.settings import JudgeSettings

__all__ = [
    "Criterion",
    "Estimate",
    "JudgeSettings",
    "JudgedRow",
    "LabelKind",
    "Labelled",
    "LabelledRows",
    "Ledger",
    "Progress",
    "builtin_criteria",
    "choose_examples",
    "estimate",
    "label_rows",
    "load_criterion",
]
