"""Who gave the labels of a data set's rows: judges with their prompts, and people."""

from __future__ import annotations

from sqlalchemy import select

from tipstaff_trainer.data.origins import (
    JUDGE_COLUMN,
    PROMPT_COLUMN,
    REVIEWER_COLUMN,
    REVIEWER_SEPARATOR,
)
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import Label, LabelSet


def label_origins(database: Database, labels: LabelSet) -> dict[int, dict[str, str]]:
    """The columns that say who labelled a row, by row id.

    A label that came with a file says nothing: the file's own columns do, if it has them.
    """
    columns: dict[int, dict[str, str]] = {}
    query = (
        select(Label.row_id, Label.source, Label.who, Label.value, Label.details)
        .where(labels.of(Label), Label.source.in_(("human", "judge")))
        .where(Label.who != labels.dataset.file)
        .order_by(Label.id)
    )
    for row_id, source, who, value, details in database.rows(query):
        if details.get("file"):
            continue
        of_row = columns.setdefault(row_id, {})
        if source == "judge":
            of_row |= {JUDGE_COLUMN: who, PROMPT_COLUMN: str(details.get("prompt_hash") or "")}
            continue
        so_far = of_row.get(REVIEWER_COLUMN, "").split(REVIEWER_SEPARATOR)
        people = dict.fromkeys(filter(None, so_far))
        if value is None:
            people.pop(who, None)
        else:
            people[who] = None
        of_row[REVIEWER_COLUMN] = REVIEWER_SEPARATOR.join(people)
    return columns
