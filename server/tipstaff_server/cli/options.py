"""A command's flags, from the model of its request or settings."""

from __future__ import annotations

import argparse
import types
from collections.abc import Collection, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tipstaff.cli import flag

# What a parser's attributes begin with, so that no field meets another argument's name.
_PREFIX = "request."


def add_options(
    parser: argparse._ActionsContainer,
    model: type[BaseModel],
    *,
    flags: Mapping[str, str] | None = None,
    metavars: Mapping[str, str] | None = None,
    without: Collection[str] = (),
    lists: Collection[str] = (),
) -> None:
    """Adds a flag for each field of a model; `given` reads what was typed.

    Values are left as they were typed: the model checks them, whoever asks.

    Args:
        parser: A command's, or a group of its arguments.
        model: The request or the settings.
        flags: Of fields whose flag is not their name; one without a dash is a positional word.
        metavars: What the help shows for the values of some fields.
        without: Fields that are set in another way.
        lists: Fields whose flag takes several values at once, as in `--precision int8 fp16`; the
            flag of any other field of several values is repeated.
    """
    for name, field in model.model_fields.items():
        if name not in without:
            words = (flags or {}).get(name, flag(name))
            _add(parser, name, field, words, metavars or {}, at_once=name in lists)


def given(model: type[BaseModel], args: argparse.Namespace) -> dict[str, Any]:
    """What was typed for a model's fields, by field name; what was not typed is absent."""
    found = vars(args)
    return {name: found[_PREFIX + name] for name in model.model_fields if _PREFIX + name in found}


def _add(
    parser: argparse._ActionsContainer,
    name: str,
    field: FieldInfo,
    words: str,
    metavars: Mapping[str, str],
    *,
    at_once: bool,
) -> None:
    positional = not words.startswith("-")
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(field)}
    if field.annotation is bool and field.default is False:
        parser.add_argument(words, dest=_PREFIX + name, action="store_true", **options)
        return
    options["metavar"] = metavars.get(name, words if positional else _metavar(field))
    several = _takes_several(field.annotation)
    if positional:
        if not field.is_required():
            options["nargs"] = "*" if several else "?"
        elif several:
            options["nargs"] = "+"
        parser.add_argument(_PREFIX + name, **options)
        return
    if several and at_once:
        options["nargs"] = "+"
    elif several:
        options["action"] = "append"
    parser.add_argument(words, dest=_PREFIX + name, required=field.is_required(), **options)


def _help(field: FieldInfo) -> str:
    # argparse reads % as the start of a format.
    text = (field.description or "").replace("%", "%%")
    default = field.get_default(call_default_factory=True)
    if default in (PydanticUndefined, None, False, "", ()) or default == {}:
        return text
    shown = ", ".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{text} (default: {shown})"


def _metavar(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    unit = extra.get("unit") if isinstance(extra, dict) else ""
    choices = _choices(field.annotation)
    if choices:
        return "|".join(choices)
    kinds = _kinds(field.annotation)
    if bool in kinds:
        return "true|false"
    return str(unit).upper().replace(" ", "_") or ("N" if {int, float} & kinds else "VALUE")


def _choices(annotation: Any) -> list[str]:
    """The words that a field takes; N where it takes a number too."""
    parts = _parts(annotation)
    words = [str(word) for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return [*words, "N"] if words and {int, float} & _kinds(annotation) else words


def _kinds(annotation: Any) -> set[Any]:
    return {get_origin(part) or part for part in _parts(annotation)}


def _takes_several(annotation: Any) -> bool:
    return bool({tuple, list, frozenset, dict} & _kinds(annotation))


def _parts(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, without what is said of them beside their type."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return [inner for part in get_args(annotation) for inner in _parts(part)]
    if hasattr(annotation, "__metadata__"):
        return _parts(annotation.__origin__)
    return [annotation]
