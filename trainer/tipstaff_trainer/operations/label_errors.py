"""Label errors: labels that the other rows contradict, listed for a person to check.

rows → out-of-fold probabilities → likely errors → file
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import field_validator

from tipstaff.types import FIELDS
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Row, united_groups
from tipstaff_trainer.judge.records import json_line
from tipstaff_trainer.operations.outputs import check_new_file, write_lines
from tipstaff_trainer.operations.sources import FileData, StoredData

if TYPE_CHECKING:
    from tipstaff_server.evaluator.quality import Interval
    from tipstaff_trainer.label_quality.label_errors import Suspect

_COLUMNS = ("id", *FIELDS, "label", "label_source", "group", "out_of_fold", "place")


class LabelErrorsRequest(Request):
    """The labels to check, and how."""

    data: FileData | StoredData = setting(description="labelled rows")
    out: Path = setting(
        description="a new .csv or .jsonl file, most suspicious first", unit="file", local=True
    )
    folds: int = setting(5, "parts to check in turn; fewer where a class is in few groups", ge=2)
    base: str = setting("all-MiniLM-L6-v2", "encoder that reads the texts", unit="base", local=True)

    @field_validator("out")
    @classmethod
    def _check_out(cls, out: Path) -> Path:
        check_new_file(out, ".csv", ".jsonl")
        return out


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Likely label errors, and how far to trust them.

    Attributes:
        suspects: All rows, beginning with the labels that the other rows contradict most.
        auroc: How well the out-of-fold probabilities tell good rows from bad ones.
    """

    suspects: Sequence[Suspect]
    auroc: Interval

    @property
    def likely(self) -> list[Suspect]:
        """The rows whose label is a likely error."""
        return [suspect for suspect in self.suspects if suspect.likely]


def label_errors(request: LabelErrorsRequest, rows: Sequence[Row]) -> LabelErrors:
    """Lists likely label errors; the rows are left unchanged.

    Raises:
        DataError: The rows can't be trained on, a class is in fewer groups than there are folds, or
            the list can't be written.
        TrainingError: There is no such encoder.
    """
    # Imported here, since torch takes seconds.
    from tipstaff_trainer.encoders.base import find_base
    from tipstaff_trainer.evaluation.intervals import auroc
    from tipstaff_trainer.label_quality.label_errors import find_label_errors

    suspects = find_label_errors(rows, find_base(request.base), folds=request.folds)
    good = np.array([each.row.good for each in suspects])
    probabilities = np.array([each.probability for each in suspects])
    _, groups = np.unique(united_groups([each.row for each in suspects]), return_inverse=True)
    area = auroc(good, probabilities, groups)
    assert area is not None  # folds need both classes
    result = LabelErrors(suspects, area)
    write_lines(request.out, _lines(result.likely, request.out.suffix))
    return result


def _lines(suspects: Sequence[Suspect], suffix: str) -> Iterable[str]:
    records = [
        {
            "id": suspect.row.id,
            **{name: suspect.row.interaction.get(name) for name in FIELDS},
            "label": suspect.row.label,
            "label_source": suspect.row.label_source,
            "group": suspect.row.group,
            "out_of_fold": round(suspect.probability, 4),
            "place": suspect.row.place,
        }
        for suspect in suspects
    ]
    if suffix == ".jsonl":
        return map(json_line, records)
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, _COLUMNS)
    writer.writeheader()
    writer.writerows(records)
    return [table.getvalue()]
