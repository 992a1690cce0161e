"""A command's flags, from the model of its request or settings."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tipstaff.cli import flag
from tipstaff_server.request_fields import RequestField, fields_of

# What a parser's attributes begin with, so that no field meets another argument's name.
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

    Values are left as they were typed: the model checks them, whoever asks.

    Args:
        parser: A command's, or a group of its arguments.
        model: The request or the settings.
        flags: The flags of fields whose flag is not their name; one without a dash is a positional
            word.
        only: The fields to add; None for all.
        without: Fields that are set in another way.
        lists: Fields whose flag takes several words at once, as in `--precision int8 fp16`, with
            the words to choose from: another word after them is a mistake, not a value. The flag of
            any other field of several values is repeated.
        old_names: Fields by names that they had before, whose flags are still understood but no
            longer shown.
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
    """The values that were typed for a model's fields, by field name."""
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
