"""Data references: an operation's rows come from a file or from a workspace's data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, field_validator

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Field
from tipstaff_server.evaluator.cases import Case
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Data, LabelMeaning, LabelSource, Selection, read_rows
from tipstaff_trainer.data.cases import read_cases
from tipstaff_trainer.data.reading import STANDARD_INPUT
from tipstaff_trainer.progress import Reporter


def _existing_file(path: Path) -> Path:
    if path == STANDARD_INPUT:
        return path
    if not path.is_file():
        raise ValueError("is a folder; give one file" if path.is_dir() else "no such file")
    return path


def _read_cases(value: Any) -> Any:
    """Accepts the path of a YAML file for its cases; a flag's comes in a list."""
    path = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(path, (str, Path)):
        return value
    try:
        file = _existing_file(Path(path))
    except ValueError as error:
        raise UsageError(str(error), field="cases", value=str(path)) from None
    return read_cases(file)


# Checked with the request, so that a typing error costs no minutes of work.
InputFile = Annotated[Path, AfterValidator(_existing_file)]
# A request's `cases`: named cases, or a YAML file of them.
NamedCases = Annotated[tuple[Case, ...], BeforeValidator(_read_cases)]
# Reads an operation's rows, once what can be checked without them has been checked.
RowSource = Callable[[], Data]


class FrameData(LabelMeaning):
    """How to read the columns and labels of rows."""

    columns: tuple[Field, ...] | None = setting(
        None,
        f"the fields to use, of {', '.join(FIELDS)} (default: all that the file has)",
        unit="A,B",
    )
    mapping: dict[str, str] = setting(
        {},
        "which column, or path into it, holds a field or the label, as in label=is_correct or "
        "output=messages[-1].content; nothing after = for none; may be repeated",
        unit="FIELD=COLUMN",
    )
    form: str = setting(
        "",
        "the tool whose export it is, or a TOML file that describes one (default: recognised)",
        unit="name|file",
    )
    label_source: LabelSource | None = setting(
        None, "who labelled the rows, where no column says so"
    )
    selection: Selection | None = setting(
        None, "how the labelled rows were selected, where no column says so"
    )

    @field_validator("columns", mode="before")
    @classmethod
    def _split_columns(cls, value: Any) -> Any:
        """Accepts `output,ground_truth` for a list of fields."""
        if value is None:
            return None
        texts = [value] if isinstance(value, str) else value
        names = [name.strip() for text in texts for name in str(text).split(",") if name.strip()]
        if not names:
            raise ValueError(f"name one or more of {', '.join(FIELDS)}, separated by commas")
        return names

    @field_validator("mapping", mode="before")
    @classmethod
    def _parse_assignments(cls, value: Any) -> Any:
        """Accepts `label=is_correct`, or a list of such texts, for a mapping."""
        if isinstance(value, Mapping):
            return value
        mapping = {}
        for text in [value] if isinstance(value, str) else value:
            role, equals, column = str(text).partition("=")
            if not (role and equals):
                raise ValueError(f"{text!r} is not FIELD=COLUMN, as in label=is_correct")
            mapping[role.strip()] = column.strip()
        return mapping


class FileData(FrameData):
    """A file of rows, and how to read its columns and labels."""

    data: InputFile = setting(
        description="rows: .csv, .tsv, .jsonl, .ndjson, .json, .parquet or .xlsx, or such a file "
        "with .gz; - for standard input"
    )


class StoredData(Request):
    """A workspace's data set, and which of its rows to use."""

    dataset: int = setting(description="the data set's id")
    criterion: str | None = setting(
        None, "whose labels to use; the data set's only criterion when not given"
    )
    part: Literal["", "train", "test"] = setting(
        "", "the rows to train on or the test rows; all rows when empty"
    )
    human: bool = setting(False, "only rows that people have labelled")
    columns: tuple[Field, ...] | None = setting(
        None, "the fields to use; all that the rows have when not given"
    )
    more: tuple[int, ...] = setting((), "ids of further data sets to train on")
    test_dataset: int | None = setting(
        None, "the id of a data set to test on; the rows held out when not given"
    )


def read_file(source: FileData, *, labelled: bool = True, reporter: Reporter | None = None) -> Data:
    """Reads a file's rows.

    Args:
        source: The file, and how to read it.
        labelled: Leave out rows without a label, and require a label column.
        reporter: Takes the warnings; they are in the result too.

    Raises:
        UsageError: The source names a column or a field that does not exist.
        DataError: The file, a column or a row can't be used as it stands.
    """
    data = read_rows(
        source.data,
        columns=source.columns,
        mapping=source.mapping,
        label_source=source.label_source,
        selection=source.selection,
        labelled=labelled,
        meaning=source,
        form=source.form,
    )
    for warning in data.warnings:
        (reporter or Reporter()).warn(warning)
    return data


def file_source(data: FileData, reporter: Reporter) -> RowSource:
    """The labelled rows of a file, read when an operation asks for them."""
    return partial(read_file, data, reporter=reporter)
