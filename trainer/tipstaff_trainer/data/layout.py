"""Where a table has each role: by an export's form, a mapping with paths, or the columns' names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tipstaff.types import FIELDS, Field
from tipstaff_trainer.data import cells
from tipstaff_trainer.data.columns import Columns, known_as, listed, resolve
from tipstaff_trainer.data.exports import as_export, label_studio, load_form
from tipstaff_trainer.data.label_column import resolve_meaning, with_points
from tipstaff_trainer.data.label_meaning import LabelMeaning
from tipstaff_trainer.data.paths import OR, decode, is_quoted, parse_path, suggest_path
from tipstaff_trainer.data.table import Record, Table
from tipstaff_trainer.errors import DataError

_CELLS_LOOKED_AT = 50
_NAMES_OF_FLAWS = re.compile(r"hallucinat|toxic|harmful|unsafe|biased?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """A table with its roles.

    Attributes:
        table: The table, with a column for each path that is read.
        columns: The column of each role.
        meaning: What its labels mean.
        warnings: What a user should know.
        notes: How it was read, for a user to check.
    """

    table: Table
    columns: Columns
    meaning: LabelMeaning
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def lay_out(
    table: Table,
    file: str,
    *,
    mapping: Mapping[str, str] | None = None,
    labelled: bool = True,
    meaning: LabelMeaning | None = None,
    form: str = "",
) -> Layout:
    """Finds each role's column; for the arguments and errors see `dataset.read_rows`."""
    mapping = {role: name.strip() for role, name in (mapping or {}).items()}
    meaning = meaning or LabelMeaning()
    table, known = as_export(table, load_form(form) if form else None)
    if known is not None:
        meaning = meaning.model_copy(
            update={
                name: (*getattr(meaning, name), *getattr(known, name)) for name in ("good", "bad")
            }
        )
    normal = {role.strip().casefold().replace("-", "_").replace(" ", "_") for role in mapping}
    roles = {role: path for role, path in table.mapping.items() if role not in normal} | mapping
    if "label" not in normal and table.labels and "label" not in table.columns:
        roles["label"] = _only_label(table, file)
    warnings, notes = [], []
    for role, names in _by_turns(table, {*normal, *roles}).items():
        roles[role] = OR.join(names)
        warnings.append(f"{file}: {role} is read from {listed(names)}, of which each row has one")
    table = _with_paths(table, roles, file)
    columns = resolve(table.columns, roles, labelled=labelled, file=file)
    if table.form:
        read = ", ".join(
            f"{role} from {path}" for role, path in roles.items() if path and role not in normal
        )
        notes.append(f"{file}: read as an export of {table.form}{f': {read}' if read else ''}")
    for role in FIELDS:
        if role in columns.names:
            warnings += _about_json(table.records, role, columns.names[role], file)
    if name := columns.names.get("label"):
        values = [record.values.get(name) for record in table.records]
        are_ratings = table.form == label_studio.FORM and not meaning.scale
        if are_ratings and (scale := label_studio.ratings_as_scale(values)):
            meaning = meaning.model_copy(update={"scale": scale})
            notes.append(f'{file}: ratings in "{name}" are read on the scale {scale}')
        places = [record.place for record in table.records]
        resolved = resolve_meaning(meaning, values, places, place=f'{file}, column "{name}"')
        meaning = resolved.meaning
        if resolved.decimal_commas:
            records = [
                replace(each, values={**each.values, name: with_points(each.values.get(name))})
                for each in table.records
            ]
            table = replace(table, records=records)
        warnings += resolved.warnings
        # DeepEval's `success` is good whatever its metric's name.
        if table.form != "DeepEval" and _may_flag(name, values, meaning):
            warnings.append(
                f'{file}: 1 and true in "{name}" are read as good; if they flag something bad, '
                "set high-is to bad"
            )
        notes += resolved.notes
    return Layout(table, columns, meaning, tuple(warnings), tuple(notes))


def _may_flag(name: str, values: Sequence[object], meaning: LabelMeaning) -> bool:
    """Whether a column's name says that its upper end is bad, and its labels are read as good."""
    if meaning.high_is == "bad" or not _NAMES_OF_FLAWS.search(name) or name.endswith(".label"):
        return False
    turned = meaning.model_copy(update={"high_is": "bad"})
    return any(
        meaning.read(value) != turned.read(value) for value in values if _is_label(value, meaning)
    )


def _is_label(value: object, meaning: LabelMeaning) -> bool:
    try:
        return meaning.read(value) is not None
    except ValueError:
        return False


def _only_label(table: Table, file: str) -> str:
    """The name of an export's label.

    Raises:
        DataError: It has several, or a column beside them could be the label, so one is asked for.
    """
    others = [name for name in table.columns if known_as(name, "label")]
    candidates = list(dict.fromkeys((*table.labels, *others)))
    if len(candidates) > 1:
        raise DataError(
            f"{file}: {listed(candidates)} could each be the label",
            remedy="choose one with {mapping} label=NAME; label= for none",
        )
    return table.labels[0]


def _by_turns(table: Table, others: Collection[str]) -> dict[Field, list[str]]:
    """Fields whose texts are under different names in rows of different shapes, one in each row."""
    found: dict[Field, list[str]] = {}
    for role in FIELDS:
        names = [name for name in table.columns if known_as(name, role)]
        if len(names) < 2 or role in others:
            continue
        filled = [
            sum(not cells.is_blank(record.values.get(name)) for name in names)
            for record in table.records
        ]
        if max(filled, default=0) == 1:
            found[role] = sorted(names, key=lambda name: name != role)
    return found


def _with_paths(table: Table, roles: Mapping[str, str], file: str) -> Table:
    """The table with a column for each path, and for each set of annotators' columns."""
    columns = list(table.columns)
    records = table.records
    for role, written in roles.items():
        if not written or written in columns:
            continue
        parts = [part.strip() for part in written.split(",")]
        if len(parts) > 1 and all(part in columns for part in parts):
            values: list[object] = [_cells(record, parts) for record in records]
        else:
            path = parse_path(written, columns)
            if path is None or path.column == written:
                continue
            values = [path.read(record.values) for record in records]
            if all(value is None for value in values):
                raise DataError(
                    f"{file}: no row has anything at {written}, which is mapped to {role}",
                    remedy=_what_is_there(records, path.column),
                )
        columns.append(written)
        records = [
            Record({**record.values, written: value}, record.place)
            for record, value in zip(records, values, strict=True)
        ]
    return replace(table, columns=tuple(columns), records=records)


def _cells(record: Record, names: Sequence[str]) -> list[object] | None:
    values = [cells.plain(record.values.get(name)) for name in names]
    return [value for value in values if not cells.is_absent(value)] or None


def _what_is_there(records: Sequence[Record], column: str) -> str:
    for record in records[:_CELLS_LOOKED_AT]:
        value = cells.plain(record.values.get(column))
        value = decode(value) if isinstance(value, str) else value
        if isinstance(value, dict) and value:
            return f"under {column} are {listed([str(name) for name in value])}"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return f"in the list {column} are objects with {listed([str(n) for n in value[0]])}"
    return f"look at the column {column}"


def _about_json(records: Sequence[Record], role: str, name: str, file: str) -> list[str]:
    """Says that a column's cells look like JSON, or are read as JSON, with a better mapping."""
    values = [cells.plain(record.values.get(name)) for record in records[: 4 * _CELLS_LOOKED_AT]]
    values = [value for value in values if value is not None][:_CELLS_LOOKED_AT]
    texts = [value for value in values if isinstance(value, str)]
    if texts and len(texts) == len(values):
        if 2 * sum(map(is_quoted, texts)) > len(texts):
            return [
                f'{file}: the cells of column "{name}" are JSON strings and are read with their '
                "quotes and escapes; take these off if what is scored later has none"
            ]
        steps = suggest_path(texts)
        if steps is None:
            return []
        remedy = f"; to read what is in it: {role}={name}{steps}" if steps else ""
        return [f'{file}: the cells of column "{name}" look like JSON and are read as text{remedy}']
    as_json = [
        value for value in values if isinstance(value, (dict, list)) and _is_canonical(value)
    ]
    if not as_json or 2 * len(as_json) < len(values):
        return []
    steps = suggest_path([cells.anything(value) for value in as_json])
    remedy = f"; to read a part of them: {role}={name}{steps}" if steps else ""
    return [f'{file}: the objects in column "{name}" are read as JSON{remedy}']


def _is_canonical(value: object) -> bool:
    """Whether an object's text is its JSON, since it is no message, call or document."""
    if isinstance(value, dict) and set(value) == {"name", "arguments"}:
        return False
    try:
        return decode(cells.text(value) or "") == value and bool(value)
    except ValueError:
        return False
