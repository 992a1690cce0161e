"""Data frames of pandas, Polars and Arrow: read as tables, and given back with further columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tipstaff_trainer.data.table import Record, Table, unique_names
from tipstaff_trainer.errors import DataError

_LIBRARIES = ("pandas", "polars", "pyarrow")


def is_frame(value: object) -> bool:
    """Whether a value is a data frame of a library that is known."""
    return _library(value) in _LIBRARIES and hasattr(type(value), "columns")


def table_of(frame: Any, name: str) -> Table:
    """A frame's rows, their cells as they are in it.

    Args:
        frame: A pandas DataFrame, a Polars DataFrame or LazyFrame, or an Arrow Table.
        name: What to call it in messages.

    Raises:
        DataError: It is no frame, or two of its columns have the same name.
    """
    library = _library(frame)
    if not is_frame(frame):
        raise DataError(
            f"{name}: is a {type(frame).__name__}", remedy="give a pandas, Polars or Arrow frame"
        )
    if library == "polars" and hasattr(frame, "collect"):
        frame = frame.collect()
    columns = frame.column_names if library == "pyarrow" else list(frame.columns)
    names, notes = unique_names([str(column) for column in columns], Path(name))
    places = range(len(names))
    if library == "pyarrow":
        cells = [frame.column(place).to_pylist() for place in places]
    elif library == "polars":
        cells = [frame.to_series(place).to_list() for place in places]
    else:
        cells = [frame.iloc[:, place].tolist() for place in places]
    records = [
        Record(dict(zip(names, row, strict=True)), f"{name}, row {number}")
        for number, row in enumerate(zip(*cells, strict=True), start=1)
    ]
    return Table(tuple(names), records, tuple(notes))


def with_columns(frame: Any, columns: Mapping[str, Sequence[Any]]) -> Any:
    """A copy of a frame, of its own library, with further columns or in place of those it has."""
    library = _library(frame)
    if library == "polars":
        import polars

        if hasattr(frame, "collect"):
            frame = frame.collect()
        series = [polars.Series(name, values, strict=False) for name, values in columns.items()]
        return frame.with_columns(series)
    if library == "pyarrow":
        import pyarrow as pa

        for name, values in columns.items():
            if name in frame.column_names:
                frame = frame.set_column(frame.column_names.index(name), name, pa.array(values))
            else:
                frame = frame.append_column(name, pa.array(values))
        return frame
    return frame.assign(**columns)


def _library(value: object) -> str:
    return type(value).__module__.partition(".")[0]
