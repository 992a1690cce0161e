"""Agreement: of a judge with people, or of two judges.

rows, other rows → pairs of labels → κ, and which rows only one of the two passes
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.records import number_in
from tipstaff_trainer.label_quality.agreement import Agreement, measure_agreement
from tipstaff_trainer.operations.sources import FileData, InputFile
from tipstaff_trainer.progress import Reporter

# A row, its label by the judge, and its label by the other.
Pair = tuple[Row, float, float]


class AgreementRequest(Request):
    """The labels to compare."""

    data: FileData = setting(description="labelled rows")
    judge_column: str = setting("judge_label", "column with the judge's label", unit="column")
    other: InputFile | None = setting(
        None, "compare with this file's labels instead, matched by id", unit="file", local=True
    )


@dataclass(frozen=True, slots=True)
class AgreementResult:
    """Agreement on all rows, and on those drawn at random.

    Attributes:
        judge: The judge's name for readers.
        other: The name of the labels that the judge's are compared with.
        all: Agreement on all rows.
        random: Agreement on the rows drawn at random; None if no row is, or if all rows are.
    """

    judge: str
    other: str
    all: Agreement
    random: Agreement | None


def agreement(
    request: AgreementRequest, data: Data, other: Data | None, reporter: Reporter
) -> AgreementResult:
    """Compares a judge's labels with people's, or with another file's.

    Args:
        request: The judge's column.
        data: Labelled rows.
        other: The same rows with other labels; None to compare `judge_column` with people's labels.
        reporter: Takes warnings about rows that are not compared, or were picked as doubtful.

    Raises:
        DataError: No row has both labels, or a judge's label is not a probability.
    """
    if other is not None:
        pairs = _pairs_by_id(data, other, reporter)
    else:
        pairs = _pairs_with_people(data, request.judge_column, reporter)
    if doubtful := sum(row.selection in ("uncertain", "disputed") for row, _, _ in pairs):
        reporter.warn(
            f"{doubtful} of {len(pairs)} rows were picked because they are doubtful: agreement on "
            "rows drawn at random would be better"
        )
    # Rows of any other selection were chosen for what they look like.
    drawn = [pair for pair in pairs if pair[0].selection == "random"]
    return AgreementResult(
        judge=data.file if other else "judge",
        other=other.file if other else "people",
        all=_measure(pairs),
        random=_measure(drawn) if drawn and len(drawn) < len(pairs) else None,
    )


def _pairs_by_id(data: Data, other: Data, reporter: Reporter) -> list[Pair]:
    for one, two in ((data, other), (other, data)):
        ids = {row.id for row in two.rows}
        if missing := sum(row.id not in ids for row in one.rows):
            reporter.warn(
                f"{missing} of {len(one.rows)} labelled rows of {one.file} are not among those of "
                f"{two.file}, by id, and are not compared"
            )
    labels = {row.id: row.label for row in other.rows}
    pairs = [(row, row.label, labels[row.id]) for row in data.rows if row.id in labels]
    if not pairs:
        raise DataError(f"{other.file}: none of its rows is in {data.file}, by id")
    return pairs


def _pairs_with_people(data: Data, column: str, reporter: Reporter) -> list[Pair]:
    pairs = []
    for row in data.rows:
        label = number_in(row, column)
        if not math.isnan(label) and row.label_source == "human":
            pairs.append((row, label, row.label))
    if not pairs:
        raise DataError(
            f'{data.file}: no row has a label by a person and one in column "{column}"',
            remedy="set {label_source} to human if all labels are by people",
        )
    by_people = sum(row.label_source == "human" for row in data.rows)
    if without := by_people - len(pairs):
        reporter.warn(
            f"{without} of {by_people} rows labelled by people have nothing in column "
            f'"{column}", and are not compared'
        )
    return pairs


def _measure(pairs: Sequence[Pair]) -> Agreement:
    rows, labels, other_labels = zip(*pairs, strict=True)
    return measure_agreement(labels, other_labels, [row.group for row in rows])
