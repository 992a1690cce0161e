"""Criteria: what a judge is asked about a row, each in a TOML file.

    name = "politeness"
    criterion = "The output is polite."     # in words; 1 is always good
    prompt = '''
    Decide whether a reply is polite. ...
    {output}
    '''

A placeholder is a column's name in braces: `input`, `output`, `ground_truth`, or any other column
of the rows. A name in double braces becomes text in single braces; all other braces are text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tipstaff.types import FIELDS
from tipstaff_server.evaluator.manifest import EvaluatorName
from tipstaff_trainer.data import Row
from tipstaff_trainer.data.columns import field_of
from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.progress import Reporter

_BUILTIN = Path(__file__).parent / "builtin"
_PLACEHOLDER = re.compile(r"\{\{(\w[\w .-]*)\}\}|\{(\w[\w .-]*)\}")
_EMPTY = "(there is none)"


class JudgeCriterion(BaseModel):
    """What is judged, and how a judge is asked about it.

    Attributes:
        name: Like an evaluator's name: a-z, 0-9 and -.
        criterion: The criterion in words; goes into the manifest of evaluators trained on its
            labels.
        prompt: The template of the question, with at least one placeholder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: EvaluatorName
    criterion: str = Field(min_length=1)
    prompt: str

    @field_validator("prompt")
    @classmethod
    def _has_placeholders(cls, prompt: str) -> str:
        if not any(match[2] for match in _PLACEHOLDER.finditer(prompt)):
            raise ValueError("names no column: put at least {output} where its text belongs")
        return prompt.strip()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the template names, in order."""
        names = (match[2] for match in _PLACEHOLDER.finditer(self.prompt))
        return tuple(dict.fromkeys(name for name in names if name))

    def check_columns(self, rows: Iterable[Row], reporter: Reporter | None = None) -> None:
        """Checks that the rows have every column of the prompt, before a call is paid for.

        Args:
            rows: The rows to judge.
            reporter: Takes a note about each column that is blank in some rows.

        Raises:
            JudgeError: A column is blank in every row, or no row has it.
        """
        blank = dict.fromkeys(self.columns, 0)
        known: set[str] = set()
        count = 0
        for row in rows:
            count += 1
            texts = row_texts(row)
            known.update(texts)
            for name in blank:
                blank[name] += not text_of_column(texts, name).strip()
        for name, blank_rows in blank.items():
            if count and blank_rows == count:
                has, remedy = "has such a column", "choose a criterion without it"
                if name in FIELDS:
                    has = "has a text there"
                    remedy = f"set {{mapping}} {name}=COLUMN, or {remedy}"
                raise JudgeError(
                    f"the prompt of criterion {self.name} names {{{name}}}, and no row {has}; "
                    f"the rows have {', '.join(sorted(known))}",
                    remedy=remedy,
                )
            if reporter and blank_rows:
                reporter.note(f"{name} is blank in {blank_rows} of {count} rows; the judge is told")

    def render(self, row: Row) -> str:
        """Fills the prompt with one row's texts.

        Each text stands between tags named like its column, and is not searched for placeholders.
        If a text of the row contains such a tag, in any case and spacing, the tags get a number: no
        text can end its block, begin another or address the judge.
        """
        texts = row_texts(row)
        shown = "\n".join(text_of_column(texts, name) for name in self.columns)

        def fill(match: re.Match[str]) -> str:
            literal, name = match[1], match[2]
            return f"{{{literal}}}" if literal else _block(name, text_of_column(texts, name), shown)

        return _PLACEHOLDER.sub(fill, self.prompt)


def load_criterion(name_or_path: str | Path) -> JudgeCriterion:
    """Loads a built-in criterion by name, or one from a TOML file.

    Raises:
        JudgeError: Neither exists, or the file is not a criterion; names the line or key.
    """
    builtin = builtin_criteria()
    path = Path(name_or_path)
    if criterion := builtin.get(str(name_or_path)):
        return criterion
    if not path.is_file():
        raise JudgeError(
            f"neither a file nor a built-in criterion; built in are {', '.join(builtin)}",
            field="criterion",
            value=str(name_or_path),
        )
    return _read(path)


@cache
def builtin_criteria() -> Mapping[str, JudgeCriterion]:
    """The criteria that come with Tipstaff, by name."""
    return {path.stem: _read(path) for path in sorted(_BUILTIN.glob("*.toml"))}


def row_texts(row: Row) -> dict[str, str]:
    """A row's texts by column name, those of the three fields and of all other columns."""
    fields = {name: row.interaction.get(name) for name in FIELDS}
    return dict(row.extra) | {name: text for name, text in fields.items() if text is not None}


def text_of_column(texts: Mapping[str, str], name: str) -> str:
    """A row's text by a column's name, or by a name that is known for a field; empty if absent.

    A file's `model_output` is stored as the output, and a question may go on to call it so.
    """
    field = None if name in texts else field_of(name)
    return texts.get(field or name, "")


def _read(path: Path) -> JudgeCriterion:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return JudgeCriterion.model_validate({"name": path.stem} | values)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise JudgeError(f"{path}: can't be read as a criterion: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise JudgeError(
            f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}; a criterion has "
            "criterion (in words), prompt (the template) and perhaps name"
        ) from None


def _block(name: str, text: str, shown: str) -> str:
    tag = column = re.sub(r"\W+", "_", name)
    number = 1
    while re.search(rf"<\s*/?\s*{tag}\b", shown, re.IGNORECASE):
        number += 1
        tag = f"{column}-{number}"
    return f"<{tag}>\n{text if text.strip() else _EMPTY}\n</{tag}>"
