"""Writes Label Studio's JSON; `data.exports.label_studio` reads it.

See https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks. A label is
written as a choice, a person's note as a text area.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any, BinaryIO

from tipstaff.types import FIELDS
from tipstaff_trainer.judge.prompt import NOTE_COLUMN
from tipstaff_trainer.workspace.datasets.queries import Datasets
from tipstaff_trainer.workspace.db.models import Label, LabelSet
from tipstaff_trainer.workspace.db.rows import StoredRow

_FROM, _TO = "label", "output"
_AT_ONCE = 500


def dump(datasets: Datasets, labels: LabelSet, rows: Iterable[StoredRow], file: BinaryIO) -> None:
    """Writes rows as tasks for Label Studio, with each labeller's latest label."""
    file.write(b"[")
    separator = b"\n"
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        labels_by_row = datasets.labels_of([row.id for row in some], labels)
        for row in some:
            task = json.dumps(_task(row, labels_by_row[row.id]), ensure_ascii=False)
            file.write(separator + task.encode("utf-8", "replace"))
            separator = b",\n"
    file.write(b"\n]\n")


def _task(row: StoredRow, labels: Iterable[Label]) -> dict[str, Any]:
    texts = {name: text for name in FIELDS if (text := getattr(row, name)) is not None}
    latest = {(each.source, each.who): each for each in labels}
    annotations, predictions = [], []
    for label in latest.values():
        results: list[dict[str, Any]] = []
        if label.value is not None:
            results.append(
                _result(_FROM, "choices", choices=["good" if label.value >= 0.5 else "bad"])
            )
        if label.source != "human":
            if results:
                judge = {"model_version": label.who, "score": label.value}
                predictions.append({"result": results, **judge})
            continue
        if label.reason:
            results.append(_result(NOTE_COLUMN, "textarea", text=[label.reason]))
        if results:
            annotations.append(
                {
                    "result": results,
                    "completed_by": {"email": label.who},
                    "created_at": label.created_at.isoformat(),
                    # A label that was taken back leaves its note.
                    "was_cancelled": label.value is None,
                }
            )
    return {
        "id": row.id,
        "data": {**row.extra, **texts, "id": row.key},
        "annotations": annotations,
        "predictions": predictions,
    }


def _result(name: str, kind: str, **value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": _TO, "type": kind, "value": value}
