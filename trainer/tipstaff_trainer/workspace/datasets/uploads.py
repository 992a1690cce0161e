"""Reads what people upload, a file or a data frame, and adds it to a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tipstaff_trainer.data import Data, read_rows, rows_of_table
from tipstaff_trainer.data.frames import is_frame, table_of
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.sources import FileData, FrameData
from tipstaff_trainer.workspace.datasets.append import Appended, append
from tipstaff_trainer.workspace.db.engine import Database
from tipstaff_trainer.workspace.db.models import LabelSet

_FRAME = "the frame"


def read(
    source: str | Path | Any, reading: Mapping[str, Any], *, display_name: str | None = None
) -> tuple[Data, str]:
    """Reads rows for a data set, those without a label too.

    Args:
        source: A file's path, or a data frame.
        reading: Fields of `FileData`, without `data`.
        display_name: The file's name in messages.

    Returns:
        The rows, and the name that they are shown under.

    Raises:
        DataError: The file, a column or a row can't be used.
        UsageError: A field of `reading` is invalid, or the mapping has an unknown role.
    """
    if is_frame(source):
        settings = FrameData.parse(dict(reading))
        table = table_of(source, _FRAME)
        if not table.records:
            raise DataError(f"{_FRAME}: has no rows", remedy="check how it was made")
        return rows_of_table(table, _FRAME, labelled=False, **_arguments(settings)), "frame"
    path = Path(source)
    shown_as = display_name or path.name
    settings = FileData.parse({**reading, "data": path})
    data = read_rows(path, labelled=False, display_name=shown_as, **_arguments(settings))
    return data, shown_as


def add_to(
    database: Database,
    labels: LabelSet,
    source: str | Path | Any,
    reading: Mapping[str, Any],
    *,
    display_name: str | None = None,
    who: str = "",
) -> Appended:
    """Adds the rows of a file or a data frame to a data set, after its own.

    Args:
        database: The workspace's database.
        labels: The data set, and the criterion of the file's labels.
        source: A file's path, or a data frame.
        reading: Fields of `FileData`, without `data`.
        display_name: The file's name in messages.
        who: The person who adds them.

    Raises:
        DataError: The file, a column or a row can't be used, or an id is that of a row with other
            texts; then nothing is added.
        UsageError: A field of `reading` is invalid, or the mapping has an unknown role.
        WorkspaceError: The disk is full.
    """
    data, shown_as = read(source, reading, display_name=display_name)
    return append(database, labels, data, file=shown_as, who=who)


def stem(name: str) -> str:
    """A file's name without its endings."""
    return Path(name.removesuffix(".gz")).stem


def _arguments(settings: FrameData) -> dict[str, Any]:
    return {
        "columns": settings.columns,
        "mapping": settings.mapping,
        "label_source": settings.label_source,
        "selection": settings.selection,
        "meaning": settings,
        "form": settings.form,
    }
