"""Rows of public sets: read as their descriptions say, freed of doubles and of what measures."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from descriptions import Form, Source

from tipstaff import text_of
from tipstaff_trainer.data.groups import unite
from tipstaff_trainer.data.paths import Path as CellPath
from tipstaff_trainer.data.paths import parse_path
from tipstaff_trainer.errors import DataError

Record = Mapping[str, Any]

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class SetRow:
    """A row of a set, in Tipstaff's form.

    Attributes:
        set: The set's name.
        id: No other row has it; it begins with the set's name.
        group: What belongs together; it begins with the set's name.
        input: What was asked; empty where the set has no inputs.
        output: The judged text.
        ground_truth: What is known to be true.
        label: In [0, 1]; 1 is good.
    """

    set: str
    id: str
    group: str
    input: str
    output: str
    ground_truth: str
    label: float

    @property
    def words(self) -> int:
        """The number of words of all its texts."""
        return sum(len(each.split()) for each in (self.input, self.output, self.ground_truth))

    def record(self) -> dict[str, object]:
        """Its JSON object; an absent input is left out."""
        texts = {"input": self.input} if self.input else {}
        return {
            "id": self.id,
            "group": self.group,
            "set": self.set,
            **texts,
            "output": self.output,
            "ground_truth": self.ground_truth,
            "label": self.label,
            "label_source": "human",
        }


def read_source(source: Source) -> tuple[list[SetRow], int]:
    """Reads a file of a set.

    Returns:
        The rows, and how many were left out for want of a text or a label.

    Raises:
        DataError: The file can't be read as its description says.
    """
    form = source.description.form_of(source.file)
    name = source.description.name
    joined = _joined(source.path.parent / form.beside, form.on) if form.beside else {}
    rows: list[SetRow] = []
    left_out = 0
    for number, record in enumerate(_records(source.path), 1):
        place = f"{source.path}, record {number}"
        if any(str(record.get(key)) != value for key, value in source.file.where.items()):
            continue
        whole = {**joined.get(str(record.get(form.on)), {}), **record}
        if form.skip and _read(whole, form.skip):
            continue
        elements = _elements(whole, form, place)
        for part, values in enumerate(elements):
            for index, judged in enumerate(form.outputs):
                label = _label(_read(values, judged.label), form, f"{place}, {judged.label}")
                texts = [_text(values, each) for each in (form.input, judged.output)]
                truth = _text(values, form.ground_truth)
                if label is None or not texts[1].strip() or not truth.strip():
                    left_out += 1
                    continue
                own = _text(values, form.id) or f"{source.path.stem}-{number}"
                parts = [own, *([part] if form.each else []), *([index] if index else [])]
                row_id = f"{name}:{'-'.join(map(str, parts))}"
                group = f"{name}:{_short(_text(values, form.group) or texts[0] or truth)}"
                rows.append(SetRow(name, row_id, group, texts[0], texts[1], truth, label))
    if not rows and not left_out and not source.file.where:
        raise DataError(f"{source.path}: has no rows")
    if source.description.group_by_lines:
        rows = group_by_lines(rows, source.description.group_by_lines)
    return rows, left_out


def group_by_lines(rows: Sequence[SetRow], words: int) -> list[SetRow]:
    """Unites rows whose ground truths have a line of so many words in common.

    Groups that rows have already are united too.
    """
    leaders = unite(len(rows), _keys(rows, words))
    return [
        replace(row, group=rows[leader].group) for row, leader in zip(rows, leaders, strict=True)
    ]


def _keys(rows: Sequence[SetRow], words: int) -> Iterator[tuple[int, str]]:
    for index, row in enumerate(rows):
        yield index, f"group {row.group}"
        for line in {folded(each) for each in row.ground_truth.splitlines()}:
            if len(line.split()) >= words:
                yield index, f"line {line}"


def without_doubles(rows: Iterable[SetRow]) -> list[SetRow]:
    """Each interaction once, the first of its rows."""
    unique: dict[tuple[str, ...], SetRow] = {}
    for row in rows:
        unique.setdefault(_texts(row), row)
    return list(unique.values())


def without_kin(rows: Iterable[SetRow], others: Iterable[SetRow]) -> list[SetRow]:
    """The rows that share no group, no input and no interaction with others, which measure."""
    known = {key for other in others for key in _kinship(other)}
    return [row for row in rows if known.isdisjoint(_kinship(row))]


def folded(text: str) -> str:
    """A text without case and white space."""
    return " ".join(text.casefold().split())


def _short(group: str) -> str:
    """A group's name; a hash in place of a long text."""
    if len(group) <= _LONGEST_NAME:
        return group
    return hashlib.sha256(folded(group).encode()).hexdigest()[:16]


def _kinship(row: SetRow) -> list[object]:
    inputs = [("input", folded(row.input))] if row.input.strip() else []
    return [("group", row.group), *inputs, _texts(row)]


def _texts(row: SetRow) -> tuple[str, ...]:
    return folded(row.input), folded(row.output), folded(row.ground_truth)


def _records(path: Path) -> Iterator[Record]:
    try:
        if path.suffix == ".tsv":
            # Quotation marks stand for themselves.
            with path.open(encoding="utf-8", newline="") as stream:
                yield from csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            return
        text = path.read_text(encoding="utf-8")
        values = (
            json.loads(text)
            if text.lstrip().startswith("[")
            # Not `splitlines`, which also splits at separators that JSON allows in texts.
            else [json.loads(line) for line in text.split("\n") if line.strip()]
        )
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: can't be read: {error}") from error
    for value in values:
        if not isinstance(value, dict):
            raise DataError(f"{path}: has a record that is no object: {str(value)[:60]}")
        yield value


def _joined(path: Path, on: str) -> dict[str, Record]:
    """The records of a second file by the field that both have."""
    if not path.is_file():
        raise DataError(f"{path}: no such file", remedy="download it too, into the same folder")
    return {str(record.get(on)): record for record in _records(path)}


def _elements(record: Record, form: Form, place: str) -> list[Record]:
    if not form.each:
        return [record]
    elements = _read(record, form.each)
    if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
        raise DataError(f"{place}: {form.each} is no list of objects")
    return [{**record, **each} for each in elements]


def _text(values: Record, path: str) -> str:
    value = _read(values, path) if path else None
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    return text_of(value)


def _label(value: object, form: Form, place: str) -> float | None:
    """A label in [0, 1]; None for none."""
    if value is None or value == "":
        return None
    if form.good:
        if value not in (*form.good, *form.bad):
            words = ", ".join((*form.good, *form.bad))
            raise DataError(f"{place}: {str(value)[:60]!r} is none of {words}")
        return float(value in form.good)
    if isinstance(value, list):
        return float(not value)
    if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
        raise DataError(f"{place}: {str(value)[:60]!r} is no label: not true, false or in [0, 1]")
    return float(value)


def _read(values: Record, path: str) -> object:
    parsed = _parse(path, tuple(values))
    return None if parsed is None else parsed.read(values)


@lru_cache(maxsize=1024)
def _parse(path: str, columns: tuple[str, ...]) -> CellPath | None:
    return parse_path(path, columns)
