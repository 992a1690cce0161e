"""A data set's labels to learn from, the judge's read by what people said of some of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tipstaff_trainer.data import Row
from tipstaff_trainer.label_quality.label_errors import OtherRows
from tipstaff_trainer.label_quality.relabelling import check_reviewed, relabel_by_others
from tipstaff_trainer.workspace.db.rows import StoredRow, to_data_row


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
    rows = [to_data_row(each) for each in stored]
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
    check_reviewed(judged, people)
    found = relabel_by_others(judged, people, OtherRows(judged).say)
    changed = sum(old.good != new.good for old, new in zip(rows, found.rows, strict=True))
    print(
        f"relabelled: of {found.drawn} rows that were drawn at random people overruled the judge "
        f"in {found.overruled}; {changed} of its other labels changed side",
        flush=True,
    )
    print(found.worth, flush=True)
    if found.note:
        print(f"note: {found.note}", flush=True)
    if found.warning:
        print(f"warning: {found.warning}", flush=True)
    return found.rows
