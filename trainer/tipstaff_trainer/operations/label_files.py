"""Labelling a file: the checks and the reading before the judge is asked."""

from __future__ import annotations

from tipstaff.errors import UsageError
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.examples import choose_examples
from tipstaff_trainer.operations.label import LabelRequest
from tipstaff_trainer.operations.outputs import check_writable
from tipstaff_trainer.operations.sources import FileData, read_file
from tipstaff_trainer.progress import Reporter


def check_files(request: LabelRequest) -> None:
    """Checks, before rows are read, that the labels can be written.

    Raises:
        UsageError: `out` is not given, can't be written, or was not written by this labelling.
    """
    if request.out is None:
        raise UsageError("is needed", field="out", remedy="name a .jsonl file for the labels")
    check_writable(request.out, ".jsonl")
    if request.out.exists() and not request.ledger_file.exists():
        raise UsageError(
            "is there already, and was not written by this labelling",
            field="out",
            value=str(request.out),
            remedy="choose another {out}",
        )


def read_unlabelled(data: FileData, reporter: Reporter) -> Data:
    """Reads a file's rows to label, with or without labels.

    Raises:
        UsageError: The reference names a column or a field that does not exist.
        DataError: The file, a column or a row can't be used as it stands.
    """
    rows = read_file(data, labelled=False, reporter=reporter)
    if unattributed := sum(row.labelled and row.label_source == "other" for row in rows.whole):
        reporter.warn(
            f"{unattributed} rows have a label without a source: it becomes previous_label",
            remedy="set {label_source} to human to keep labels by people",
        )
    return rows


def read_examples(request: LabelRequest, reporter: Reporter) -> tuple[Row, ...]:
    """Chooses examples from the request's file of reviewed rows.

    Raises:
        DataError: The file can't be used, or all its rows are held out.
    """
    if request.examples is None or not request.shots:
        return ()
    assert isinstance(request.data, FileData)
    source = {"data": request.examples, "columns": None, "selection": None}
    reviewed = read_file(request.data.model_copy(update=source)).whole
    examples = choose_examples(reviewed, request.shots)
    if not examples:
        raise DataError(
            "all rows were drawn at random or are of the test part: these are kept for honest "
            "numbers and never shown to the judge",
            field="examples",
            value=str(request.examples),
            remedy="review others, such as those that the queue ranks, or a pilot",
        )
    reporter.note(f"{len(examples)} examples, {sum(row.good for row in examples)} of them good")
    return examples
