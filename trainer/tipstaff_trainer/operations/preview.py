"""Preview: what would be read of a file, before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tipstaff_trainer.data import cells, rows_of_table
from tipstaff_trainer.data.exports import as_export, load_form
from tipstaff_trainer.data.layout import lay_out
from tipstaff_trainer.data.reading import read_table
from tipstaff_trainer.data.table import Table
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.sources import FileData

_ROWS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What would be read of a file.

    Attributes:
        form: The tool whose export it is; empty for a plain table.
        columns: The columns' names, those of an export's labels among them.
        rows: The first few rows, by column.
        mapping: From a role to a column or a path.
        count: How many rows the file has.
        labels: The columns that could each be the label, where the export names its labels.
        read: The first few rows as they would be read, by role.
        notes: How it was read, what is left out, and what may be wrong.
        problem: Why it can't be read with these settings; empty if it can.
        remedy: What to do about it, fields in braces.
    """

    form: str
    columns: tuple[str, ...]
    rows: list[dict[str, str]]
    mapping: Mapping[str, str]
    count: int
    labels: tuple[str, ...]
    read: list[dict[str, str]]
    notes: tuple[str, ...]
    problem: str = ""
    remedy: str = ""


def preview(source: FileData, *, display_name: str = "") -> FilePreview:
    """Reads a file as a data set would be read, and tells how.

    Args:
        source: The file, and how to read it.
        display_name: The file's name in messages.

    Raises:
        DataError: The file can't be read at all.
        UsageError: The mapping names an unknown role.
    """
    file = display_name or str(source.data)
    plain = read_table(source.data, display_name=file)
    table, _ = as_export(plain, load_form(source.form) if source.form else None)
    mapping: dict[str, str] = {}
    read: list[dict[str, str]] = []
    notes: tuple[str, ...] = plain.notes
    problem = remedy = ""
    try:
        layout = lay_out(
            plain,
            file,
            mapping=source.mapping,
            labelled=False,
            meaning=source,
            form=source.form,
        )
        mapping = {str(role): column for role, column in layout.columns.names.items()}
        data = rows_of_table(
            plain,
            file,
            columns=source.columns,
            mapping=source.mapping,
            label_source=source.label_source,
            selection=source.selection,
            labelled=False,
            meaning=source,
            form=source.form,
        )
        notes = (*data.warnings, *data.notes)
        for row in data.whole[:_ROWS_SHOWN]:
            fields: dict[str, str] = {
                str(name): row.interaction.get(name) or "" for name in data.columns
            }
            label = {"label": f"{row.label:g}"} if row.labelled else {}
            read.append({**fields, **label})
    except DataError as error:
        problem, remedy = error.message, error.remedy
        mapping = mapping or _without_label(plain, file, source)
    return FilePreview(
        form=table.form,
        columns=table.columns,
        rows=_first_rows(table),
        mapping=mapping,
        count=len(plain.records),
        labels=table.labels,
        read=read,
        notes=notes,
        problem=problem,
        remedy=remedy,
    )


def _without_label(plain: Table, file: str, source: FileData) -> dict[str, str]:
    """The mapping of the other roles, where the label can't be told; empty where they can't."""
    roles = {**source.mapping, "label": ""}
    with suppress(DataError):
        layout = lay_out(plain, file, mapping=roles, labelled=False, form=source.form)
        return {str(role): column for role, column in layout.columns.names.items()}
    return {}


def _first_rows(table: Table) -> list[dict[str, str]]:
    return [
        {name: cells.anything(record.values.get(name)) for name in table.columns}
        for record in table.records[:_ROWS_SHOWN]
    ]
