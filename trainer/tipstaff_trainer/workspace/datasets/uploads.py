"""Reading what people upload: a file or a data frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tipstaff_trainer.data import Data, read_rows, rows_of_table
from tipstaff_trainer.data.frames import is_frame, table_of
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.operations.sources import FileData, FrameData

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
