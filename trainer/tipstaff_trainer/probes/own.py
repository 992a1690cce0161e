"""A user's own rewritings, from a TOML file.

    [[rewriting]]
    name = "signed"
    effect = "keeps"             # or breaks, mends
    template = "{output} -- Anna, support"
    says = "a signature"         # optional
    rows = "good"                # optional: the rows it is for, good, bad or all

A template has one or more of {output}, {ground_truth}, {input} and {wrong}, a wrong answer: a bad
row's own output, or what another row answers. A row without one of the texts is left out.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tipstaff_trainer.errors import DataError
from tipstaff_trainer.probes import texts
from tipstaff_trainer.probes.draft import Draft
from tipstaff_trainer.probes.kinds import Kind
from tipstaff_trainer.probes.rewritings import REWRITINGS, Effect, Rewriting

_PLACES = ("output", "ground_truth", "input", "wrong")
_KINDS: tuple[Kind, ...] = ("reference", "context", "form")


class _Own(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    effect: Effect
    template: str
    says: str = ""
    rows: Literal["good", "bad", "all"] = "all"

    @field_validator("template")
    @classmethod
    def _check_places(cls, template: str) -> str:
        named = re.findall(r"\{([^{}]*)\}", template)
        for name in named:
            if name not in _PLACES:
                raise ValueError(f"{{{name}}} is unknown: use {_in_braces()}")
        if not template.strip():
            raise ValueError("is empty")
        return template

    def rewriting(self) -> Rewriting:
        named = set(re.findall(r"\{(\w+)\}", self.template))

        def apply(it: Draft) -> str | None:
            pieces = {
                "output": it.output,
                "ground_truth": it.truth(),
                "input": (it.row.interaction.input or "").strip(),
                "wrong": it.wrong() if "wrong" in named else "",
            }
            if not all(pieces[name] for name in named):
                return None
            return texts.fill(self.template, **pieces)

        says = self.says or self.template
        return Rewriting(self.name, self.effect, says, apply, _KINDS, self.rows, share=0.0)


def read_rewritings(path: Path) -> tuple[Rewriting, ...]:
    """Reads a user's rewritings.

    Raises:
        DataError: The file or a rewriting in it can't be used; names the rewriting and the field.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not TOML: {error}") from error
    items = content.pop("rewriting", None)
    if content or not isinstance(items, list) or not items:
        raise DataError(
            f"{path}: is not a list of rewritings",
            remedy='begin each with [[rewriting]], then name = "…", effect = "breaks", "keeps" or '
            '"mends", and template = "…"',
        )
    own = tuple(_parse(item, f"{path}, rewriting {n}") for n, item in enumerate(items, start=1))
    names = Counter(each.name for each in (*own, *REWRITINGS))
    for each in own:
        if names[each.name] > 1:
            raise DataError(f"{path}: two rewritings are named {each.name}", remedy="rename one")
    return own


def _parse(item: object, place: str) -> Rewriting:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        place += f" ({item['name']})"
    try:
        return _Own.model_validate(item).rewriting()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        if first["type"] == "missing":
            why = "is missing"
        elif first["type"] == "extra_forbidden":
            why = f"is no field of a rewriting, which has {', '.join(_Own.model_fields)}"
        raise DataError(f"{place}: {field}: {why}") from None


def _in_braces() -> str:
    return ", ".join(f"{{{name}}}" for name in _PLACES)
