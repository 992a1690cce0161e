"""Errors of the trainer, with where each arises.

TipstaffError
└── TrainerError
    ├── DataError        data/: a row, a column or a file; names which and what to do
    ├── JudgeError       judge/: a criterion, an endpoint or a ledger that won't do
    │   └── BudgetError  judge/budget: the money or the tokens allowed are spent; all is kept
    ├── TrainingError    distil/: a setting, base encoder or tracker that training can't start with
    ├── CertificationError  certification/: the rows can't prove the bounds; says what would
    ├── ExportError      export/: the model can't be exported
    │   └── ParityError  export/parity: the exported graph decides otherwise than the model
    ├── ReportError      report/: a report's folder can't be written
    └── WorkspaceError   workspace/: no such data set, criterion or job, or not now; storage fails
        └── JobError     workspace/: a job that was waited for failed or was stopped
"""

from __future__ import annotations

from tipstaff.errors import TipstaffError


class TrainerError(TipstaffError):
    """Everything the trainer raises on purpose."""


class DataError(TrainerError):
    """Rows that can't be used as they stand; names the row, the column and what to do."""


class JudgeError(TrainerError):
    """A criterion, an endpoint or a ledger that labels can't be had with."""


class BudgetError(JudgeError):
    """What a job may spend is spent; what it has paid for is kept."""


class TrainingError(TrainerError):
    """A setting, a base encoder or a tracker that training can't start with."""


class CertificationError(TrainerError):
    """Error bounds can't be proved with these rows."""


class ExportError(TrainerError):
    """The model can't be exported."""


class ParityError(ExportError):
    """The exported graph decides otherwise than the trained model."""


class ReportError(TrainerError):
    """A report's folder can't be written."""


class WorkspaceError(TrainerError):
    """Something a workspace doesn't have, can't do as things stand, or can't store."""


class JobError(WorkspaceError):
    """A job that was waited for failed or was stopped; the message ends with its last words."""
