"""Makes a command's flags from the model of its request or settings."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tipstaff.cli import flag
from tipstaff_server.request_fields import RequestField, fields_of

# Prefix of a field's attribute in the parsed arguments, so that it clashes with no other argument.
_PREFIX = "request."


def add_options(
    parser: argparse._ActionsContainer,
    model: type[BaseModel],
    *,
    flags: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    lists: Mapping[str, Sequence[str]] | None = None,
    old_names: Mapping[str, str] | None = None,
) -> None:
    """Adds a flag for each field of a model; `given` reads what was typed.

    Values stay text: the model checks them, not argparse.

    Args:
        parser: A command's parser, or a group of its arguments.
        model: The request or the settings.
        flags: Flags by field, where a flag differs from the field's name; one without a dash is a
            positional argument.
        only: The fields to add; None for all.
        without: Fields to leave out.
        lists: Fields whose flag takes several words at once, as in `--precision int8 fp16`, with
            the words to choose from: any other word after them is a mistake. The flag of any other
            field with several values is repeated.
        old_names: Fields by their former names, whose flags still work but are not shown.
    """
    for field in fields_of(model):
        if field.name not in without and (only is None or field.name in only):
            words = (flags or {}).get(field.name, flag(field.name))
            _add(parser, field, words, (lists or {}).get(field.name, ()))
    for old, name in (old_names or {}).items():
        parser.add_argument(
            flag(old), dest=_PREFIX + name, default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )


def given(model: type[BaseModel], args: argparse.Namespace) -> dict[str, Any]:
    """The values from the command line, by the model's field names."""
    values = vars(args)
    return {name: values[_PREFIX + name] for name in model.model_fields if _PREFIX + name in values}


def _add(
    parser: argparse._ActionsContainer, field: RequestField, words: str, at_once: Sequence[str]
) -> None:
    dest = _PREFIX + field.name
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(field)}
    if field.switch and field.default is False:
        parser.add_argument(words, dest=dest, action="store_true", **options)
    elif words.startswith("-"):
        if at_once:
            # Checked here too: a positional word that follows would be taken for a value, and then
            # be missed.
            options |= {"nargs": "+", "choices": at_once}
        elif field.several:
            options["action"] = "append"
        parser.add_argument(
            words,
            dest=dest,
            required=field.required,
            metavar="|".join(at_once) or _metavar(field),
            **options,
        )
    else:
        options["nargs"] = {(True, False): None, (True, True): "+", (False, True): "*"}.get(
            (field.required, field.several), "?"
        )
        parser.add_argument(dest, metavar=words, **options)


def _help(field: RequestField) -> str:
    # argparse reads % as the start of a format.
    text = field.description.replace("%", "%%")
    return f"{text} (default: {field.default_text})" if field.default_text else text


def _metavar(field: RequestField) -> str:
    if field.choices:
        return "|".join([*field.choices, *(["N"] if field.numeric else [])])
    if field.switch:
        return "true|false"
    return field.unit.upper().replace(" ", "_") or ("N" if field.numeric else "VALUE")
