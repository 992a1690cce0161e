"""Labelling a file: what is checked and read before the judge is asked."""

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
    """Checks a file's request, before anything is read, for what would lose work at its end.

    Raises:
        UsageError: `out` can't be written, or is not this labelling's.
    """
    assert request.out is not None
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
        UsageError: A column or a field is named that does not exist.
        DataError: The file, a column or a row can't be used as it stands.
    """
    rows = read_file(data, labelled=False, reporter=reporter)
    if unattributed := sum(row.labelled and row.label_source == "other" for row in rows.whole):
        reporter.warn(
            f"{unattributed} rows have a label, and nothing says who gave it: it becomes "
            "previous_label",
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
    reviewed = read_file(
        FileData(
            data=request.examples,
            mapping=request.data.mapping,
            label_source=request.data.label_source,
        )
    )
    chosen = choose_examples(reviewed.whole, request.shots)
    if not chosen:
        raise DataError(
            "all rows were drawn at random or are of the test part: these are kept for honest "
            "numbers and never shown to the judge",
            field="examples",
            value=str(request.examples),
            remedy="review others, such as those that the queue ranks, or a pilot",
        )
    reporter.note(f"{len(chosen)} examples, {sum(row.good for row in chosen)} of them good")
    return chosen
