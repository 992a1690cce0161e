"""Label Studio's JSON: a list of tasks with `data`, people's `annotations`, models' `predictions`.

See https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks. Each control that
could be a label (choices, ratings, numbers, taxonomies of one step) becomes a column by its
`from_name`; a text area with the name `note` is the annotator's note. Where an annotation is marked
as ground truth, the others of its task don't count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tipstaff_trainer.data.rows import LabelSource
from tipstaff_trainer.data.table import Record, Table, columns_of

FORM = "Label Studio"
NOTE_CONTROL = "note"
# The largest rating that Label Studio's control offers unless told otherwise (`maxRating`).
DEFAULT_RATING = 5


def are_tasks(records: Sequence[Record]) -> bool:
    """Whether all records are tasks of Label Studio, some of them perhaps without annotations."""
    return all(isinstance(record.values.get("data"), dict) for record in records) and any(
        "annotations" in record.values or "predictions" in record.values for record in records
    )


def as_table(table: Table) -> Table:
    """Tasks as a table: a record for each annotation, a column for each control."""
    controls: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    texts = {str(name) for record in table.records for name in _data(record)}
    records = [
        each
        for record in table.records
        for each in _records(record, texts, controls, unread, dropped)
    ]
    file = table.records[0].place.partition(",")[0]
    notes = [
        f'{file}: {count} results of the control "{name}" are no labels and were not read'
        for name, count in unread.items()
    ]
    notes += [f"{file}: {count} {what}" for what, count in dropped.items()]
    return Table(
        columns_of(records),
        records,
        (*table.notes, *notes),
        form=FORM,
        labels=tuple(controls),
    )


def ratings_as_scale(values: Sequence[object]) -> str | None:
    """The scale that ratings are on, where they are whole numbers; None if they are on none."""
    numbers = [value for value in values if isinstance(value, (int, float))]
    if not numbers or any(
        not isinstance(value, (int, float)) for value in values if value is not None
    ):
        return None
    whole = all(float(value).is_integer() for value in numbers)
    # All may have got one star: a rating has no 0.
    on_it = min(numbers) >= 1 and max(numbers) <= DEFAULT_RATING
    return f"1-{DEFAULT_RATING}" if whole and on_it else None


def _data(record: Record) -> Mapping[str, Any]:
    data = record.values["data"]
    assert isinstance(data, dict)
    return data


def _records(
    record: Record,
    texts: set[str],
    controls: Counter[str],
    unread: Counter[str],
    dropped: Counter[str],
) -> Iterator[Record]:
    data = dict(_data(record))
    if "id" not in data and record.values.get("id") is not None:
        data["id"] = str(record.values["id"])
    any_label = False
    for annotation, source in _annotations(record, dropped):
        results = _objects(annotation.get("result"))
        values: dict[str, Any] = {}
        several: set[str] = set()
        note = " ".join(text for result in results for text in _note(result))
        for result in results:
            name = str(result.get("from_name") or "label")
            if name == NOTE_CONTROL:
                continue
            value = _value(result)
            if value is None:
                unread[name] += 1
                continue
            # A text of the task may have the control's name.
            column = f"{name} (label)" if name in texts else name
            if values.setdefault(column, value) != value:
                several.add(column)
        for column in several:
            # As of a control that is asked for each region.
            dropped[f'annotations have different answers to "{column}", which are not read'] += 1
            del values[column]
        controls.update(values.keys())
        if values:
            any_label = True
            noted = {NOTE_CONTROL: note} if note else {}
            yield Record({**data, **values, **noted, "label_source": source}, record.place)
    if not any_label:
        yield Record(data, record.place)


def _annotations(
    record: Record, dropped: Counter[str]
) -> Iterator[tuple[Mapping[str, Any], LabelSource]]:
    """The annotations that count, with who made them."""
    people = _objects(record.values.get("annotations"))
    standing = [each for each in people if not each.get("was_cancelled")]
    if cancelled := len(people) - len(standing):
        dropped["annotations were skipped by their annotators and are not read"] += cancelled
    truth = [each for each in standing if each.get("ground_truth")]
    if truth and len(truth) < len(standing):
        dropped[
            "annotations don't count, since another of their task is marked as ground truth"
        ] += len(standing) - len(truth)
    for annotation in truth or standing:
        yield annotation, "human"
    for prediction in _objects(record.values.get("predictions")):
        yield prediction, "judge"


def _objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; other shapes of an export have their number there, or nothing."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _value(result: Mapping[str, Any]) -> object:
    """A control's value as a label's cell; None if it can be none."""
    value = result.get("value")
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if isinstance(choices, list) and len(choices) == 1:
        return choices[0]
    taxonomy = value.get("taxonomy")
    if isinstance(taxonomy, list) and len(taxonomy) == 1 and isinstance(taxonomy[0], list):
        return taxonomy[0][0] if len(taxonomy[0]) == 1 else None
    for kind in ("rating", "number"):
        number = value.get(kind)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return number
    return None


def _note(result: Mapping[str, Any]) -> list[str]:
    """The texts of a text area that holds a note."""
    if result.get("from_name") != NOTE_CONTROL:
        return []
    value = result.get("value")
    texts = value.get("text") if isinstance(value, dict) else None
    if isinstance(texts, str):
        return [texts]
    return [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
