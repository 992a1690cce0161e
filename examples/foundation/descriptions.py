"""Descriptions of public data sets: what each is, where it comes from, how its files are read.

Each is a TOML file in `sets/`. A file is found by the last parts of its path, in which `*` stands
for anything, so that a folder may hold downloads of several sets.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tipstaff.errors import UsageError
from tipstaff_trainer.errors import DataError

SETS = Path(__file__).parent / "sets"


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Judged(_Described):
    """A text that was judged.

    Attributes:
        output: The path of the text.
        label: The path of its label.
    """

    output: str
    label: str


class Form(_Described):
    """How one record of a file becomes rows; paths are those of `tipstaff train --map`.

    Attributes:
        outputs: The judged texts of a record: one row each.
        input: The path of the input; empty for none.
        ground_truth: The path of the ground truth; a list becomes lines.
        id: The path of the record's own id; empty if records have none.
        group: The path of what belongs together; rows without one are grouped by the input, else by
            the ground truth.
        each: A list in the record: one row for each of its elements, whose fields come first.
        skip: The path of a mark of records to leave out, where it is true.
        good: Words that mean good; without words, labels are numbers in [0, 1], true or false, or
            lists of errors, which are good if they are empty.
        bad: Words that mean bad.
        beside: A second file in the same folder, whose records are joined to this one's.
        on: The field that both have in common.
    """

    outputs: tuple[Judged, ...]
    input: str = ""
    ground_truth: str = ""
    id: str = ""
    group: str = ""
    each: str = ""
    skip: str = ""
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    beside: str = ""
    on: str = ""


# Rows as Tipstaff has them.
_ROWS = "rows"
_ROWS_FORM = Form(
    outputs=(Judged(output="output", label="label"),),
    input="input",
    ground_truth="ground_truth",
    id="id",
    group="group",
)


class SetFile(_Described):
    """A file of a set.

    Attributes:
        path: The last parts of its path, at least its name.
        form: How it is read: one of the set's forms, or `rows`.
        measure: Whether its rows are for measuring, never to train on.
        sha256: The checksums of its known versions, in hex; empty if none is known.
        where: Only records with these values are read.
    """

    path: str
    form: str = _ROWS
    measure: bool = False
    sha256: tuple[str, ...] = ()
    where: dict[str, str] = {}


class SetDescription(_Described):
    """A public data set.

    Attributes:
        name: Its short name.
        title: Its name and authors.
        what: What is judged.
        licence: As its authors or the collection state it.
        address: Where to download it.
        measure: Whether the whole set is for measuring.
        group_by_lines: Rows are one group if a line of so many words is in both ground truths; 0
            for groups as the form says.
        files: Its files.
        forms: How they are read, by name.
    """

    name: str
    title: str
    what: str
    licence: str
    address: str
    measure: bool = False
    group_by_lines: int = 0
    files: tuple[SetFile, ...]
    forms: dict[str, Form] = {}

    @model_validator(mode="after")
    def _check_forms(self) -> Self:
        for file in self.files:
            if file.form not in {_ROWS, *self.forms}:
                raise ValueError(f"{file.path}: no form {file.form}")
        return self

    def form_of(self, file: SetFile) -> Form:
        """How a file of the set is read."""
        return self.forms.get(file.form, _ROWS_FORM)

    def is_measuring(self, file: SetFile) -> bool:
        """Whether a file's rows are for measuring."""
        return self.measure or file.measure


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was found.

    Attributes:
        description: Its set.
        file: What the description says of it.
        path: Where it is.
        sha256: Its checksum, in hex.
        measure: Whether its rows are for measuring.
    """

    description: SetDescription
    file: SetFile
    path: Path
    sha256: str
    measure: bool

    @property
    def warning(self) -> str:
        """What to say if its checksum isn't a known one."""
        if not self.file.sha256 or self.sha256 in self.file.sha256:
            return ""
        return (
            f"{self.path}: its sha256 is {self.sha256}, expected {' or '.join(self.file.sha256)}: "
            "it is another version, or damaged. Get it again from "
            f"{self.description.address}, or look at its rows before you train on them"
        )


def load_descriptions(folder: Path = SETS) -> list[SetDescription]:
    """The descriptions in a folder, by name.

    Raises:
        DataError: There are none, or one is invalid.
    """
    descriptions = []
    for file in sorted(folder.glob("*.toml")):
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
            descriptions.append(SetDescription.model_validate(values))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise DataError(f"{file}: {error}") from error
    if not descriptions:
        raise DataError(f"{folder}: has no description of a set, which is a file *.toml")
    return sorted(descriptions, key=lambda each: each.name)


def find_sources(descriptions: Sequence[SetDescription], places: Sequence[str]) -> list[Source]:
    """Finds the files of sets.

    Args:
        descriptions: The sets.
        places: Folders, each with downloads of one or more sets, or NAME=PATH: a folder whose files
            are found by their last names alone, or a file; one that the description doesn't know
            has rows in Tipstaff's form.

    Raises:
        UsageError: A folder or a set doesn't exist.
    """
    # A renamed test file is still one.
    measuring = {
        checksum
        for description in descriptions
        for file in description.files
        if description.is_measuring(file)
        for checksum in file.sha256
    }
    sources: dict[tuple[str, Path, int], Source] = {}
    for place in places:
        for description, file, path in _matches(descriptions, place):
            checksum = _sha256_of(path)
            measure = description.is_measuring(file) or checksum in measuring
            key = (description.name, path, _index(description, file))
            sources.setdefault(key, Source(description, file, path, checksum, measure))
    return list(sources.values())


def _matches(
    descriptions: Sequence[SetDescription], place: str
) -> Iterator[tuple[SetDescription, SetFile, Path]]:
    by_name = {each.name: each for each in descriptions}
    name, equals, rest = place.partition("=")
    named = by_name.get(name) if equals else None
    path = Path(rest if named else place).resolve()
    if equals and named is None and not path.exists():
        raise UsageError(f"{place}: no set is called {name}; there are {', '.join(by_name)}")
    if not path.exists():
        raise UsageError(f"{place}: no such file or folder")
    files = [path] if path.is_file() else list(_files_in(path))
    for each in files:
        known = False
        for description in [named] if named else descriptions:
            for file in description.files:
                if each.match(PurePath(file.path).name if named else file.path):
                    known = True
                    yield description, file, each
        if named and path.is_file() and not known:
            yield named, SetFile(path=each.name, measure="test" in each.stem), each


def _files_in(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (Path(root, name) for name in sorted(names))


def _index(description: SetDescription, file: SetFile) -> int:
    """The place of a file in its description; its end for a user's own."""
    files = description.files
    return files.index(file) if file in files else len(files)


def _sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
