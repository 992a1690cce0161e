"""Relabel: a judge's labels, corrected with people's labels of some of its rows.

rows, reviewed rows → second opinion → relabelled rows → file, or a training
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from tipstaff.errors import UsageError
from tipstaff_server.requests import setting
from tipstaff_trainer.data import Row
from tipstaff_trainer.judge.records import json_line, rounded, row_record
from tipstaff_trainer.operations.outputs import NewRowsFile, write_lines
from tipstaff_trainer.operations.second_opinion import SecondOpinion, evaluator_scores
from tipstaff_trainer.operations.sources import FileData, InputFile, StoredData
from tipstaff_trainer.progress import Reporter

if TYPE_CHECKING:
    from tipstaff_trainer.label_quality.relabelling import Relabelled


class RelabelRequest(SecondOpinion):
    """The labels to correct, the reviewed rows and the second opinion to correct them with."""

    data: FileData | StoredData = setting(description="rows with a judge's labels")
    reviewed: InputFile | None = setting(
        None, "reviewed rows, matched by id; needed to relabel a file", unit="file", local=True
    )
    out: NewRowsFile | None = setting(
        None, "a new .jsonl file, to train on; needed to relabel a file", unit="file", local=True
    )
    seed: int = setting(0, "seeds the folds")

    @model_validator(mode="after")
    def _check(self) -> Self:
        other = "{evaluator}" if self.evaluator else "{scores}" if self.scores else ""
        if other and self.out_of_fold:
            raise UsageError(
                "there is a second opinion already",
                field="out_of_fold",
                remedy=f"leave out {other}",
            )
        for name in ("reviewed", "out") if isinstance(self.data, FileData) else ():
            if getattr(self, name) is None:
                raise UsageError("is needed", field=name)
        return self


def relabel(
    request: RelabelRequest,
    rows: Sequence[Row],
    reviewed: Iterable[Row],
    reporter: Reporter,
    *,
    grouped: Sequence[Row] | None = None,
) -> Relabelled:
    """Corrects a judge's labels with people's labels of some of its rows.

    Args:
        request: The second opinion, and the file for the rows, if any.
        rows: Rows with the judge's labels; rows of other sources are left unchanged.
        reviewed: Rows labelled by people; those of other sources are ignored.
        reporter: Takes remarks on the result.
        grouped: The same rows with groups, and with only the fields that the second opinion is to
            read; `rows` themselves when None.

    Raises:
        DataError: Too few reviewed rows were drawn at random, there is no second opinion, or the
            file can't be written.
    """
    # Imported here, since torch takes seconds.
    from tipstaff_trainer.label_quality import relabelling
    from tipstaff_trainer.label_quality.label_errors import OtherRows

    people = {row.id: row for row in reviewed if row.label_source == "human"}
    relabelling.check_reviewed(rows, people)
    grouped = rows if grouped is None else grouped
    scores = evaluator_scores(request, grouped)
    if scores is not None:
        result = relabelling.relabel_rows(rows, people, scores, seed=request.seed)
    else:
        probabilities = OtherRows(grouped).probabilities
        result = relabelling.relabel_by_other_rows(rows, people, probabilities, seed=request.seed)
    if request.out is not None:
        write_lines(request.out, map(_line, rows, result.rows))
    if result.note:
        reporter.note(result.note)
    if result.warning:
        reporter.warn(result.warning)
    judged = {row.id for row in rows}
    if absent := sum(name not in judged for name in people):
        reporter.warn(
            f"{absent} of the {len(people)} rows that people reviewed have no label of the "
            "judge's, and are left out"
        )
    return result


def _line(before: Row, after: Row) -> str:
    columns: dict[str, object] = {}
    if before.label_source == "judge":
        columns["judge_label"] = rounded(before.label)
        if after.label_source != "human":
            columns["label_kind"] = "relabelled"
    return json_line(row_record(after, **columns))
