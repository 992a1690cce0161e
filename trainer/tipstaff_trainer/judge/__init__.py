"""Labels by an LLM judge: criteria, prompts, endpoints, and the ledger of replies."""

from tipstaff_trainer.judge.criteria import JudgeCriterion, builtin_criteria, load_criterion
from tipstaff_trainer.judge.estimate import CostEstimate, estimate_cost
from tipstaff_trainer.judge.examples import choose_examples
from tipstaff_trainer.judge.labelling import JudgedRow, JudgedRows, JudgeOutcome, label_rows
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.replies import LabelKind
from tipstaff_trainer.judge.settings import JudgeSettings

__all__ = [
    "CostEstimate",
    "JudgeCriterion",
    "JudgeOutcome",
    "JudgeSettings",
    "JudgedRow",
    "JudgedRows",
    "LabelKind",
    "Ledger",
    "builtin_criteria",
    "choose_examples",
    "estimate_cost",
    "label_rows",
    "load_criterion",
]
