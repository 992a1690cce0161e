"""Errors of the trainer, with where each arises.

TipstaffError
└── TrainerError
    ├── DataError        data/: a row, a column or a file can't be used; names it and the remedy
    ├── JudgeError       judge/: a criterion, an endpoint or a ledger can't be used
    │   └── BudgetError  judge/budget: the allowed money or tokens are spent; all labels are kept
    ├── TrainingError    distil/: training can't start with a setting, base encoder or tracker
    │   └── OtherRunError  distil/run_folder: the folder holds an interrupted run of another request
    ├── CertificationError  certification/: the rows can't prove the bounds; says what would
    ├── ExportError      export/: the model can't be exported
    │   └── ParityError  export/parity: the exported graph's decisions differ from the model's
    ├── ReportError      report/: a report's folder can't be written
    └── WorkspaceError   workspace/: no such data set, criterion or job, or not now; storage fails
        └── JobError     workspace/: a job that a caller waits for failed or was stopped
"""

from __future__ import annotations

from tipstaff.errors import TipstaffError


def one_line(error: BaseException) -> str:
    """The text of another library's exception on one line; its type where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of such a text, where the others are advice or a traceback."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


class TrainerError(TipstaffError):
    """Everything the trainer raises on purpose."""


class DataError(TrainerError):
    """Rows can't be used as they stand; names the row, the column and the remedy."""


class JudgeError(TrainerError):
    """A criterion, an endpoint or a ledger can't be used for labelling."""


class BudgetError(JudgeError):
    """A job's budget is spent; the labels it has paid for are kept."""


class TrainingError(TrainerError):
    """Training can't start with a setting, a base encoder or a tracker."""


class OtherRunError(TrainingError):
    """A folder holds an interrupted run of other rows or settings."""


class CertificationError(TrainerError):
    """Error bounds can't be proved with these rows."""


class ExportError(TrainerError):
    """The model can't be exported."""


class ParityError(ExportError):
    """The exported graph's decisions differ from the trained model's."""


class ReportError(TrainerError):
    """A report's folder can't be written."""


class WorkspaceError(TrainerError):
    """A workspace lacks something, can't do it now, or can't store it."""


class JobError(WorkspaceError):
    """A job that a caller waits for failed or was stopped; ends with the job's last message."""
