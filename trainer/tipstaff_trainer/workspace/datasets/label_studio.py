"""Label Studio's JSON: a list of tasks with `data`, people's `annotations`, models' `predictions`.

See https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks. Choices
named like a label (good, bad, yes, no, …) and numbers in [0, 1] are read; a choice is written. A
person's note is a text area.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from tipstaff.types import FIELDS
from tipstaff_trainer.data import cells
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.prompt import NOTE_COLUMN
from tipstaff_trainer.workspace.datasets.queries import Datasets
from tipstaff_trainer.workspace.db.models import Label, LabelSet
from tipstaff_trainer.workspace.db.rows import StoredRow

SUFFIX = ".tasks.jsonl"
_FROM, _TO = "label", "output"
_AT_ONCE = 500


@contextmanager
def as_lines(path: Path) -> Iterator[Path]:
    """Yields the file itself, or for a Label Studio export a temporary file with JSON lines."""
    tasks = _tasks(path)
    if tasks is None:
        yield path
        return
    lines = path.with_name(path.name + SUFFIX)
    try:
        with lines.open("w", encoding="utf-8") as file:
            for number, task in enumerate(tasks, start=1):
                for record in _records(task, f"{path}, task {number}"):
                    file.write(json.dumps(record) + "\n")
        yield lines
    finally:
        lines.unlink(missing_ok=True)


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


def _tasks(path: Path) -> list[dict[str, Any]] | None:
    if path.suffix.casefold() != ".json":
        return None
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # the reader of other files explains what is wrong
    if not isinstance(content, list) or not content:
        return None
    are_tasks = all(
        isinstance(each, dict) and isinstance(each.get("data"), dict) for each in content
    )
    return content if are_tasks else None


def _records(task: Mapping[str, Any], place: str) -> Iterator[dict[str, Any]]:
    """One record for each label of a task, or one record without a label."""
    data = dict(task["data"])
    if "id" not in data and task.get("id") is not None:
        data["id"] = str(task["id"])
    labelled = False
    for source, key in (("human", "annotations"), ("judge", "predictions")):
        for annotation in task.get(key) or []:
            if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
                continue
            results = annotation.get("result") or []
            note = " ".join(text for result in results for text in _note(result))
            noted = {**data, NOTE_COLUMN: note} if note else data
            for result in results:
                value = _value(result, place)
                if value is not None:
                    labelled = True
                    yield {**noted, "label": value, "label_source": source}
    if not labelled:
        yield data


def _value(result: Any, place: str) -> float | None:
    value = result.get("value") if isinstance(result, dict) else None
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if isinstance(choices, list) and len(choices) == 1:
        try:
            return cells.label(choices[0])
        except ValueError as error:
            raise DataError(f"{place}: choice {error}") from None
    number = value.get("number")
    return float(number) if isinstance(number, (int, float)) and 0 <= number <= 1 else None


def _note(result: Any) -> list[str]:
    """The texts of a text area that holds a note."""
    if not isinstance(result, dict) or result.get("from_name") != NOTE_COLUMN:
        return []
    value = result.get("value")
    texts = value.get("text") if isinstance(value, dict) else None
    return [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []


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
