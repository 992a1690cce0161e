"""Describes the fields of a request or of settings, for flags, forms and help."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


@dataclass(frozen=True, slots=True)
class RequestField:
    """One field.

    Attributes:
        name: Its name in the model.
        title: Its name in forms.
        description: Its purpose, in a line.
        unit: What a number counts, or what kind of text it is; may be empty.
        required: Whether it has no default.
        default: Its value when none is given; None where something else decides.
        choices: The only words that it accepts; empty if it accepts others.
        numeric: Whether it accepts a number.
        switch: Whether it is true or false.
        several: Whether it accepts several values.
        common: Whether a form shows it at once.
        local: Whether only someone at the machine may set it; a path always is.
        low: The least number that it accepts; None without a bound.
        high: The greatest; None without a bound.
    """

    name: str
    title: str
    description: str
    unit: str
    required: bool
    default: Any
    choices: tuple[str, ...]
    numeric: bool
    switch: bool
    several: bool
    common: bool
    local: bool
    low: float | None
    high: float | None

    @property
    def default_text(self) -> str:
        """The default as text, or an empty string."""
        if self.default is False or self.default in (None, "", (), {}):
            return ""
        if isinstance(self.default, tuple):
            return ", ".join(map(str, self.default))
        return str(self.default)


def fields_of(model: type[BaseModel]) -> Iterator[RequestField]:
    """A model's fields in order, without those that are models themselves."""
    for name, field in model.model_fields.items():
        if not any(_is_model(kind) for kind in _kinds(field.annotation)):
            yield _describe(name, field)


def field_titles(model: type[BaseModel]) -> Callable[[str], str]:
    """Gives a field's title, for messages to readers of a form; other names in words."""
    titles = {field.name: field.title for field in fields_of(model)}
    return lambda name: titles.get(name, name.replace("_", " "))


def _describe(name: str, field: FieldInfo) -> RequestField:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kinds = _kinds(field.annotation)
    default = field.get_default(call_default_factory=True)
    bounds = {
        key: getattr(each, key)
        for each in field.metadata
        for key in ("ge", "gt", "le", "lt")
        if getattr(each, key, None) is not None
    }
    return RequestField(
        name=name,
        title=field.title or name.replace("_", " ").capitalize(),
        description=field.description or "",
        unit=str(extra.get("unit", "")),
        required=field.is_required(),
        default=None if default is PydanticUndefined else default,
        choices=tuple(
            str(word)
            for part in _parts(field.annotation)
            if get_origin(part) is Literal
            for word in get_args(part)
        ),
        numeric=bool({int, float} & kinds),
        switch=bool in kinds,
        several=bool({tuple, list, frozenset, dict} & kinds),
        common=bool(extra.get("common")),
        local=bool(extra.get("local")) or Path in kinds,
        low=bounds.get("ge", bounds.get("gt")),
        high=bounds.get("le", bounds.get("lt")),
    )


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kinds(annotation: Any) -> set[Any]:
    return {get_origin(part) or part for part in _parts(annotation)}


def _parts(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, without their metadata."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for part in get_args(annotation) for inner in _parts(part)]
    if hasattr(annotation, "__metadata__"):
        return _parts(annotation.__origin__)
    return [annotation]
