"""Descriptions of exports: loaded from TOML and checked."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tipstaff_trainer.data.columns import Role
from tipstaff_trainer.data.rows import LabelSource
from tipstaff_trainer.errors import DataError

_FOLDER = Path(__file__).parent


class LabelPlace(BaseModel):
    """Where an export has labels; see the package's docstring for an example.

    Attributes:
        each: Path of a list with an element for each label, or of an object by the labels' names.
        columns: In place of it, patterns of columns, each of which is a label; `*` is the name.
        name: Paths of the label's name in an element, the first that is there; empty where the
            object's names are those.
        called: The name of the only label that there is, which is at `each` itself.
        value: Paths of the label's value in an element, the first that is there; the element
            itself if empty.
        note: Path of what the annotator wrote.
        source: Path of who gave the label.
        human: The source's values for people.
        judge: The source's values for an LLM or a metric.
        by: Who gave labels whose source isn't told.
        status: Name of a label's state in an element; for columns, the end of the column that
            holds their states, as `status` for `faithful.responses.status`.
        leave_out: The states of labels that don't count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    each: str = ""
    columns: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    called: str = ""
    value: tuple[str, ...] = ()
    note: str = ""
    source: str = ""
    human: tuple[str, ...] = ()
    judge: tuple[str, ...] = ()
    by: LabelSource = "other"
    status: str = ""
    leave_out: tuple[str, ...] = ()


class ExportForm(BaseModel):
    """The form of a tool's exports.

    Attributes:
        name: The tool's name.
        source: Address of a public description of the shape.
        requires: Paths that some row has, all of them.
        any_of: Paths of which some row has one; may be empty.
        good: Words of its labels for good, beside those that every file may have.
        bad: The same for bad.
        join: Path of what rows share that are parts of one interaction, such as its events.
        grows: Path of what later turns of one conversation begin with, among such parts: the last
            turn counts.
        complete: Whether no other column has a role, whatever its name.
        mapping: Paths of each role, the first that most rows have.
        labels: Where its labels are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str = Field(min_length=1)
    requires: tuple[str, ...] = Field(min_length=1)
    any_of: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    join: str = ""
    grows: str = ""
    complete: bool = False
    mapping: dict[Role, tuple[str, ...]]
    labels: tuple[LabelPlace, ...] = ()


@cache
def builtin_forms() -> tuple[ExportForm, ...]:
    """The descriptions that come with Tipstaff: those that ask for most come first."""
    forms = [_read(path) for path in sorted(_FOLDER.glob("*.toml"))]
    return tuple(sorted(forms, key=lambda form: -len(form.requires)))


def load_form(name_or_path: str) -> ExportForm:
    """Loads a built-in description by its tool's name, or one from a TOML file.

    Raises:
        DataError: There is none, or the file is no description; names the key.
    """
    for form in builtin_forms():
        if form.name.casefold() == name_or_path.strip().casefold():
            return form
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(form.name for form in builtin_forms())
        raise DataError(
            f"is neither a file nor a known form; known are {names}",
            field="form",
            value=name_or_path[:80],
        )
    return _read(path)


def _read(path: Path) -> ExportForm:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return ExportForm.model_validate(values)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: can't be read as an export's form: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {key}: {first['msg']}") from None
