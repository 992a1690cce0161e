"""Reads a file of interactions: checks its rows, joins labels, derives groups."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tipstaff.types import FIELDS, Field, Interaction
from tipstaff_trainer.data import cells
from tipstaff_trainer.data.columns import Columns, Role, check_fields, listed
from tipstaff_trainer.data.contradictions import contradictions, match_people_by_text
from tipstaff_trainer.data.groups import derive_groups
from tipstaff_trainer.data.label_meaning import LabelMeaning
from tipstaff_trainer.data.layout import lay_out
from tipstaff_trainer.data.reading import read_table
from tipstaff_trainer.data.rows import (
    LABEL_SOURCES,
    SELECTIONS,
    LabelSource,
    Row,
    Selection,
    content_id,
    join_labels,
    narrow_rows,
)
from tipstaff_trainer.data.table import Record, Table
from tipstaff_trainer.errors import DataError

Value = TypeVar("Value")
_IDS: tuple[Role, ...] = ("id", "group")
_FLOAT_ID = re.compile(r"\s*\d+\.0\s*")


@dataclass(frozen=True, slots=True)
class Data:
    """The contents of a file.

    Attributes:
        file: Its name, for messages.
        rows: One for each interaction, in the file's order.
        columns: The fields that its interactions have, in the wire's order: those to train on.
        grouped: Whether the file has groups.
        warnings: What a user should know, one line each.
        notes: How the file was read, for a user to check, one line each: `reading`, then which
            columns were read and which were not.
        reading: What its labels were read as, and the tool whose export it is.
        whole: The joined rows with all their fields, and with a group only where the file has
            one.
    """

    file: str
    rows: list[Row]
    columns: tuple[Field, ...]
    grouped: bool
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    whole: tuple[Row, ...]
    reading: tuple[str, ...] = ()


def read_rows(
    path: Path,
    *,
    columns: Sequence[Field] | None = None,
    mapping: Mapping[str, str] | None = None,
    label_source: LabelSource | None = None,
    selection: Selection | None = None,
    labelled: bool = True,
    meaning: LabelMeaning | None = None,
    form: str = "",
    display_name: str = "",
) -> Data:
    """Reads a file of interactions (`reading.READERS`), a plain table or another tool's export.

    Columns: input, output and ground_truth, at least one of them; label; optionally id, weight,
    group, label_source and selection. Common other names are known (`columns.ALIASES`). All other
    columns go to each row's `extra`.

    Rows with the same id are labels of one interaction and become one row (`rows.join_labels`);
    without ids, so do rows with the same texts. Rows without a group get a derived one
    (`groups.derive_groups`). Both look at all fields, selected or not.

    Args:
        path: The file; `-` is standard input.
        columns: The fields to read; None for all that the file has. Others become None.
        mapping: From role to a column or a path (`paths`), as in `{"label": "correct"}` or
            `{"output": "messages[-1].content"}`; for the label also several columns with commas
            between them; empty for no column.
        label_source: The source of labels whose source the file doesn't give.
        selection: The selection of rows whose selection the file doesn't give.
        labelled: Leave rows without a label out, and demand a label column. If False, the label of
            such rows is NaN.
        meaning: What the labels mean; None for the usual words and probabilities.
        form: The tool whose export it is, or a file that describes one; recognised if empty.
        display_name: The file's name in messages; its path if empty.

    Raises:
        UsageError: `columns` or `mapping` name an unknown field or role.
        DataError: The file, a column or a row can't be used as it stands.
    """
    return rows_of_table(
        read_table(path, display_name=display_name),
        display_name or str(path),
        columns=columns,
        mapping=mapping,
        label_source=label_source,
        selection=selection,
        labelled=labelled,
        meaning=meaning,
        form=form,
    )


def rows_of_table(
    table: Table,
    file: str,
    *,
    columns: Sequence[Field] | None = None,
    mapping: Mapping[str, str] | None = None,
    label_source: LabelSource | None = None,
    selection: Selection | None = None,
    labelled: bool = True,
    meaning: LabelMeaning | None = None,
    form: str = "",
) -> Data:
    """`read_rows` for a table that has been read; `file` is its name in messages."""
    layout = lay_out(table, file, mapping=mapping, labelled=labelled, meaning=meaning, form=form)
    resolved = layout.columns
    if columns is not None:
        check_fields(columns, resolved, file=file)
    parse_id = {role: _id_parser(layout.table, resolved, role) for role in _IDS}
    rows = [
        _row(record, resolved, layout.meaning, label_source, selection, parse_id)
        for record in layout.table.records
    ]
    rows, skipped = _with_labels(rows, file) if labelled else (rows, [])
    rows, blank = _without_blank(rows, resolved, columns, file)
    fields, absent = _present(rows, resolved, columns, file)
    rows, matched = match_people_by_text(rows)
    joined, repeated = join_labels(rows)
    contradicting = contradictions(joined)
    grouped, ungrouped = derive_groups(joined)
    about_rows = [f"{file}: {note}" for note in (*matched, *repeated, *contradicting, *ungrouped)]
    return Data(
        file=file,
        rows=narrow_rows(grouped, fields),
        columns=fields,
        grouped="group" in resolved.names,
        warnings=(
            *layout.table.notes,
            *resolved.notes,
            *layout.warnings,
            *skipped,
            *blank,
            *absent,
            *about_rows,
        ),
        notes=(*layout.notes, *_notes(joined, fields, resolved, file)),
        whole=tuple(joined),
        reading=layout.notes,
    )


def _row(
    record: Record,
    columns: Columns,
    meaning: LabelMeaning,
    source: LabelSource | None,
    selection: Selection | None,
    parse_id: Mapping[Role, Callable[[object], str]],
) -> Row:
    def cell(role: Role, parse: Callable[[object], Value]) -> Value:
        name = columns.names.get(role)
        try:
            return parse(None if name is None else record.values.get(name))
        except ValueError as error:
            raise DataError(f'{record.place}, column "{name}": {error}') from None

    interaction = Interaction(*(cell(name, cells.text) for name in FIELDS))
    label = cell("label", meaning.read)
    own_source = cell("label_source", lambda value: cells.choice(value, LABEL_SOURCES))
    own_selection = cell("selection", lambda value: cells.choice(value, SELECTIONS))
    extra = {name: cells.anything(record.values.get(name)) for name in columns.extra}
    return Row(
        interaction=interaction,
        label=math.nan if label is None else label,
        id=cell("id", parse_id["id"]) or content_id(interaction),
        weight=cell("weight", cells.weight),
        group=cell("group", parse_id["group"]),
        label_source=own_source or source or "other",
        selection=own_selection or selection or "unknown",
        extra={name: text for name, text in extra.items() if text},
        place=record.place,
    )


def _id_parser(table: Table, columns: Columns, role: Role) -> Callable[[object], str]:
    """A function that reads ids or groups.

    Where all are written as `1.0`, as by pandas where some are absent, they are whole numbers.
    """
    name = columns.names.get(role)
    values = (None if name is None else record.values.get(name) for record in table.records)
    texts = {value for value in values if isinstance(value, str) and value.strip()}
    are_floats = bool(texts) and all(map(_FLOAT_ID.fullmatch, texts))

    def parse(value: object) -> str:
        text = (cells.text(value) or "").strip()
        return text.removesuffix(".0") if are_floats else text

    return parse


def _without_blank(
    rows: Sequence[Row], resolved: Columns, selected: Sequence[Field] | None, file: str
) -> tuple[list[Row], list[str]]:
    """The rows that have a text in a field, with a note on the others."""
    fields = [name for name in FIELDS if name in (selected or resolved.names)]
    left = [
        row for row in rows if any((row.interaction.get(name) or "").strip() for name in fields)
    ]
    if len(left) == len(rows):
        return left, []
    if not left:
        raise DataError(f"{file}: none of its {len(rows)} rows has a text in {' or '.join(fields)}")
    kept = {id(row) for row in left}
    first = next(row.place for row in rows if id(row) not in kept)
    return left, [
        f"{file}: left out {len(rows) - len(left)} of {len(rows)} rows, without a text in "
        f"{' or '.join(fields)}; the first is {first}"
    ]


def _with_labels(rows: Sequence[Row], file: str) -> tuple[list[Row], list[str]]:
    with_label = [row for row in rows if row.labelled]
    if not with_label:
        message = f"{file}: none of its {len(rows)} rows has a label"
        raise DataError(message, remedy="fill the label column")
    places = [row.place for row in rows if not row.labelled]
    if not places:
        return with_label, []
    note = f"left out {len(places)} of {len(rows)} rows, without a label; the first is {places[0]}"
    return with_label, [f"{file}: {note}"]


def _present(
    rows: Sequence[Row], resolved: Columns, selected: Sequence[Field] | None, file: str
) -> tuple[tuple[Field, ...], list[str]]:
    """The selected fields that some row has, with notes on the others."""
    candidates = [name for name in FIELDS if name in (selected or resolved.names)]
    present = tuple(name for name in candidates if any(row.interaction.get(name) for row in rows))
    absent = [name for name in candidates if name not in present]
    if selected is not None and absent:
        raise DataError(
            f'{file}: column "{resolved.names[absent[0]]}" was chosen to train on as {absent[0]} '
            "and is empty in every row",
            remedy="fill it, or choose other columns",
        )
    return present, [
        f'{file}: column "{resolved.names[name]}" is empty in every row, so {name} is not '
        "trained on"
        for name in absent
    ]


def _notes(
    rows: Sequence[Row], fields: Sequence[Field], resolved: Columns, file: str
) -> tuple[str, ...]:
    """Which columns were read and which were not, and how many cells are blank."""
    names = resolved.names
    used = {role: names[role] for role in names if role in fields or role not in FIELDS}
    read = ", ".join(f'{role} from "{name}"' for role, name in used.items())
    columns = dict.fromkeys([*names.values(), *resolved.extra])
    unused = [name for name in columns if name not in used.values()]
    notes = [f"{file}: {len(rows)} rows; read {read}"]
    if unused:
        notes.append(f"{file}: not used: {listed(unused)}")
    for name in fields:
        if blank := sum(not (row.interaction.get(name) or "").strip() for row in rows):
            notes.append(f"{file}: {name} is blank in {blank} of {len(rows)} rows")
    return tuple(notes)
