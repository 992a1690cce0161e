"""Scores the rows of a data frame through the server's code."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tipstaff.types import Interaction
from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data.frames import table_of
from tipstaff_trainer.data.streaming import TextReader
from tipstaff_trainer.evaluation.predict import predict_all

_FRAME = "the frame"
# A row's interaction, or why it can't be read.
FrameRow = Interaction | str


def read_interactions(frame: Any, mapping: Mapping[str, str] | None = None) -> list[FrameRow]:
    """A frame's interactions, one a row; a row without a text has no field.

    A row with a cell that can't be read has the reason in place of its interaction.

    Raises:
        DataError: The frame has no column of texts, or none of its rows can be read.
    """
    table = table_of(frame, _FRAME)
    # Not the rows of an export: they are one for each of a row's labels.
    reader = TextReader(table, _FRAME, mapping=mapping)
    reader.check(table.records)
    rows: list[FrameRow] = []
    unreadable: list[str] = []
    for record in table.records:
        read = reader.read_or_reason(record)
        if isinstance(read, str):
            unreadable.append(f"{record.place}, {read}")
        rows.append(read)
    messages = list(reader.warnings)
    if unreadable:
        messages.append(
            f"{len(unreadable)} of {len(rows)} rows can't be read and get no score; the first: "
            f"{unreadable[0]}"
        )
    for message in messages:
        warnings.warn(message, stacklevel=3)
    return rows


def score_columns(rows: Sequence[FrameRow], evaluator: Evaluator, name: str) -> dict[str, Any]:
    """The columns that an evaluator adds: verdict, reasons and score.

    A row without a text in a field that the evaluator reads gets the score NaN, no verdict, and
    the reason in words; so does a row that can't be read.
    """
    fields = evaluator.manifest.fields
    interactions = {index: row for index, row in enumerate(rows) if not isinstance(row, str)}
    lacking = [each for each in fields if not any(row.get(each) for row in interactions.values())]
    if lacking:
        warnings.warn(
            f"{_FRAME} has no {' and no '.join(lacking)}, which {name} reads: no row passes",
            stacklevel=3,
        )
    readable = {
        index: row
        for index, row in interactions.items()
        if any((row.get(each) or "").strip() for each in fields)
    }
    predictions = predict_all(evaluator, list(readable.values()))
    scores = [math.nan] * len(rows)
    verdicts: list[str | None] = [None] * len(rows)
    no_text = f"no text in {' or '.join(fields)}"
    reasons = [row if isinstance(row, str) else no_text for row in rows]
    for index, prediction in zip(readable, predictions, strict=True):
        scores[index] = prediction.score
        verdicts[index] = prediction.verdict.value
        reasons[index] = ", ".join(reason.value for reason in prediction.reasons)
    return {f"{name}_verdict": verdicts, f"{name}_reasons": reasons, f"{name}_score": scores}
