"""Recognises an export, finds its roles, and turns its labels into columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from tipstaff.types import FIELDS
from tipstaff_trainer.data.cells import plain, text
from tipstaff_trainer.data.columns import Role
from tipstaff_trainer.data.exports import label_studio
from tipstaff_trainer.data.exports.forms import ExportForm, LabelPlace, builtin_forms
from tipstaff_trainer.data.exports.joined import joined
from tipstaff_trainer.data.paths import OR, Path, decode, parse_path
from tipstaff_trainer.data.rows import LabelSource
from tipstaff_trainer.data.table import Record, Table, columns_of

# So many rows tell an export's form.
_ROWS_LOOKED_AT = 50
# And so many tell which of its paths to read.
_ROWS_COUNTED = 500
_NOTE = "note"


@dataclass(frozen=True, slots=True)
class _Label:
    name: str
    value: object
    note: str
    source: LabelSource


def as_export(table: Table, form: ExportForm | None = None) -> tuple[Table, ExportForm | None]:
    """Reads a table as an export, if it is one.

    Each of a row's labels gets the column of its name, with its own `label_source`. A row with
    several labels of one name, by several people say, becomes as many records: rows of one id are
    joined later.

    Args:
        table: A file's records.
        form: The form to read it as; it is recognised if None.

    Returns:
        The table with its roles and labels, and its form; the table itself and None if it has no
        known form.
    """
    if form is None and label_studio.are_tasks(table.records):
        return label_studio.as_table(table), None
    if form is None:
        form = next((each for each in builtin_forms() if _is_of_form(table, each)), None)
    if form is None:
        return table, None
    records = joined(table, form) if form.join else table.records
    labels: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    expanded = [each for record in records for each in _expanded(record, form, labels, dropped)]
    columns = columns_of(expanded) or table.columns
    mapping = {
        str(role): path
        for role, paths in form.mapping.items()
        if (path := _first_that_most_have(_with_own(role, paths, table), expanded, columns))
    }
    file = table.records[0].place.partition(",")[0]
    notes = []
    for role in FIELDS:
        if role in mapping:
            paths = _with_own(role, form.mapping[role], table)
            mapping[role], note = _with_others(role, mapping[role], paths, expanded, columns, file)
            notes += note
    notes += [f"{file}: not read: labels {which} ({count})" for which, count in dropped.items()]
    if form.complete:
        mapping = dict.fromkeys(("input", "output", "ground_truth"), "") | mapping
    return (
        replace(
            table,
            columns=columns,
            records=expanded,
            notes=(*table.notes, *notes),
            form=form.name,
            mapping=mapping,
            labels=tuple(labels),
        ),
        form,
    )


def _is_of_form(table: Table, form: ExportForm) -> bool:
    some = table.records[:_ROWS_LOOKED_AT]

    def any_has(path: str) -> bool:
        parsed = parse_path(path, table.columns)
        return parsed is not None and any(_has(parsed, record) for record in some)

    return all(map(any_has, form.requires)) and (not form.any_of or any(map(any_has, form.any_of)))


def _has(path: Path, record: Record) -> bool:
    return path.read(record.values) is not None


def _first_that_most_have(
    paths: Sequence[str], records: Sequence[Record], columns: Sequence[str]
) -> str | None:
    """The first path that at least half of the rows have, else the one that most have."""
    best, most = None, 0
    records = records[:_ROWS_COUNTED]
    for written in paths:
        path = parse_path(written, columns)
        if path is None:
            continue
        count = sum(_has_text(path, record) for record in records)
        if 2 * count >= len(records) and count:
            return written
        if count > most:
            best, most = written, count
    return best


def _with_own(role: Role, paths: Sequence[str], table: Table) -> Sequence[str]:
    """A role's paths, after the column of its own name unless one of them leads into it."""
    if role not in table.columns or any(_column_of(path, table.columns) == role for path in paths):
        return paths
    # The table's own column is the role whatever the form says of others.
    return (role, *paths) if role in FIELDS else (role,)


def _with_others(
    role: str,
    chosen: str,
    paths: Sequence[str],
    records: Sequence[Record],
    columns: Sequence[str],
    file: str,
) -> tuple[str, list[str]]:
    """A role's path, with those of rows of other shapes after it; and a note on such rows."""
    parsed = {written: path for written in paths if (path := parse_path(written, columns))}
    first = parsed.pop(chosen)
    elsewhere: dict[str, list[str]] = {}
    for record in records:
        if not _has_text(first, record):
            there = (each for each, path in parsed.items() if _has_text(path, record))
            if (written := next(there, None)) is not None:
                elsewhere.setdefault(written, []).append(record.place)
    if not elsewhere:
        return chosen, []
    others = ", ".join(
        f"{len(places)} at {written} (the first is {places[0]})"
        for written, places in elsewhere.items()
    )
    count = sum(map(len, elsewhere.values()))
    note = f"{count} of {len(records)} rows have no {role} at {chosen} and are read elsewhere"
    in_order = [written for written in parsed if written in elsewhere]
    return OR.join([chosen, *in_order]), [f"{file}: {note}: {others}"]


def _has_text(path: Path, record: Record) -> bool:
    try:
        return bool(text(path.read(record.values)))
    except ValueError:
        # A flag, such as a label that is true.
        return True


def _column_of(path: str, columns: Sequence[str]) -> str | None:
    parsed = parse_path(path, columns)
    return None if parsed is None else parsed.column


def _expanded(
    record: Record, form: ExportForm, names: Counter[str], dropped: Counter[str]
) -> Iterator[Record]:
    """A record for each set of labels that one source gave; one record if there is no label."""
    sets: list[dict[str, object]] = []
    sources: list[LabelSource] = []
    for label in (each for place in form.labels for each in _labels(record, place, dropped)):
        # An interaction may have a column of the name that a label has.
        taken = label.name in record.values and record.values[label.name] is not label.value
        name = f"{label.name} (label)" if taken else label.name
        names[name] += 1
        for index, labels in enumerate(sets):
            if sources[index] == label.source and name not in labels:
                break
        else:
            labels = {}
            sets.append(labels)
            sources.append(label.source)
        labels[name] = label.value
        if label.note:
            labels[_NOTE] = label.note
    if not sets:
        yield record
    for labels, source in zip(sets, sources, strict=True):
        values = {**record.values, **labels}
        if source != "other":
            values["label_source"] = source
        yield Record(values, record.place)


def _labels(record: Record, place: LabelPlace, dropped: Counter[str]) -> Iterator[_Label]:
    for column, value in record.values.items():
        for pattern in place.columns:
            if value is not None and fnmatchcase(column, pattern):
                head, _, tail = pattern.partition("*")
                # A pattern with a separator, as `eval.*.label`, has the name between.
                between = head.endswith(".") or tail.startswith((".", "/"))
                name = column[len(head) : len(column) - len(tail)] if between else column
                states = record.values.get(f"{column}.{place.status}") if place.status else None
                standing = _standing(plain(value), plain(states), place, dropped)
                if standing is not None:
                    yield _Label(name, standing, "", place.by)
                break
    if not place.each:
        return
    path = parse_path(place.each, record.values)
    found = None if path is None else plain(path.read(record.values))
    if isinstance(found, str):
        found = decode(found)
    if isinstance(found, dict) and not place.called and not _is_element(found, place):
        items = [(str(name), each) for name, each in found.items()]
    else:
        items = [("", each) for each in (found if isinstance(found, list) else [found])]
    items = [_pair(each) or (name, each) for name, each in items]
    for name, each in items:
        # A question's name may stand beside a list of people's answers.
        for element in each if isinstance(each, list) else [each]:
            state = element.get(place.status) if isinstance(element, dict) else None
            if state in place.leave_out:
                dropped[f"in the state {state}"] += 1
                continue
            if place.name and not name and not isinstance(element, dict):
                # As lists of traces have them: what was scored is elsewhere.
                dropped["that are ids only: export the scores with the rows"] += 1
                continue
            label = _label(name, element, place)
            if label is not None:
                yield label


def _pair(each: object) -> tuple[str, object] | None:
    """A label's name and value where they are a pair, as in `["faithful", 1]`."""
    if isinstance(each, list) and len(each) == 2 and isinstance(each[0], str):
        return (each[0], each[1]) if isinstance(each[1], (int, float)) else None
    return None


def _is_element(found: dict[str, Any], place: LabelPlace) -> bool:
    """Whether an object is one label itself, rather than labels by their names."""
    paths = (*place.name, *place.value)
    return bool(place.name) and any(path.partition(".")[0] in found for path in paths)


def _standing(values: object, states: object, place: LabelPlace, dropped: Counter[str]) -> object:
    """A column's labels without those whose state, in the list beside them, leaves them out."""
    if not (isinstance(values, list) and isinstance(states, list) and len(values) == len(states)):
        return values
    dropped.update(f"in the state {state}" for state in states if state in place.leave_out)
    return [
        value for value, state in zip(values, states, strict=True) if state not in place.leave_out
    ] or None


def _label(name: str, element: object, place: LabelPlace) -> _Label | None:
    def at(path: str) -> object:
        parsed = parse_path(f"element.{path}", ("element",))
        return None if parsed is None else parsed.read({"element": element})

    if element is None:
        return None
    value: object = element
    if place.value and isinstance(element, dict):
        value = next((found for each in place.value if (found := at(each)) is not None), None)
    if value is None or isinstance(value, dict):
        return None
    names = [str(each) for path in place.name if (each := at(path)) is not None]
    name = name or place.called or next(iter(names), "label")
    source = str(at(place.source)) if place.source and isinstance(element, dict) else ""
    by: LabelSource = (
        "human" if source in place.human else "judge" if source in place.judge else place.by
    )
    note = at(place.note) if place.note and isinstance(element, dict) else None
    return _Label(name, value, note if isinstance(note, str) else "", by)
