"""A data set's labels to learn from, the judge's read by what people said of some of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tipstaff_trainer.data import Row
from tipstaff_trainer.operations.relabel import RelabelRequest, relabel
from tipstaff_trainer.operations.sources import StoredData
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.rows import StoredRow, as_labelled


def relabelled(stored: Sequence[StoredRow]) -> list[Row]:
    """Reads a judge's labels as `judge.relabelling` does, and says in the log what that is worth.

    The second opinion is what the other rows say of each. Nothing is stored: labels stay as they
    were given, and the next training reads them by what people have said until then.

    Args:
        stored: Rows with labels by one criterion, none of which is there to test on.

    Returns:
        All of them in their order: those that people labelled with people's labels, the judge's
        others with the probability that people would call them good, the rest as they are.

    Raises:
        DataError: Too few rows of a judge's that were drawn at random were reviewed.
    """
    rows = [as_labelled(each) for each in stored]
    overruled = {
        each.key: each.judge_label
        for each in stored
        if each.label_source == "human" and each.judge_label is not None
    }
    people = {row.id: row for row in rows if row.id in overruled}
    judged = [
        replace(row, label=overruled[row.id], label_source="judge") if row.id in people else row
        for row in rows
    ]
    request = RelabelRequest(data=StoredData(dataset=stored[0].dataset_id))
    result = relabel(request, judged, list(people.values()), _LogReporter())
    print(
        f"relabelled: of {result.drawn} rows that were drawn at random people overruled the judge "
        f"in {result.overruled}; {result.changed} of its other labels changed side",
        flush=True,
    )
    print(result.worth, flush=True)
    return result.rows


class _LogReporter(Reporter):
    """Prints notes and warnings into a job's log."""

    def note(self, message: str, *, remedy: str = "") -> None:
        print(f"note: {message}", flush=True)

    def warn(self, message: str, *, remedy: str = "") -> None:
        print(f"warning: {message}", flush=True)
