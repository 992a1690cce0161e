"""A request as a form: the fields it shows, and what people entered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tipstaff.errors import TipstaffError
from tipstaff_server.request_fields import RequestField, fields_of


class RequestForm:
    """The form for a request.

    It leaves out fields for someone at the machine, such as paths: a browser may be anywhere.

    Args:
        model: The request.
        own: Fields that the page draws itself, with their labels on the page.

    Attributes:
        fields: The fields that `request_form.html` draws.
        titles: The labels of all fields, by name.
    """

    def __init__(self, model: type[BaseModel], own: Mapping[str, str]) -> None:
        described = list(fields_of(model))
        self.fields = [each for each in described if not each.local and each.name not in own]
        self.titles = {**{each.name: each.title for each in described}, **own}

    def entered(self, texts_of: Callable[[str], Sequence[str]]) -> dict[str, Any]:
        """What people entered, for the request and to show again; an empty field is absent.

        Args:
            texts_of: Gives all texts of a field of the form.
        """
        values: dict[str, Any] = {}
        for field in self.fields:
            texts = [text.strip() for text in texts_of(field.name) if text.strip()]
            if field.switch and field.default is not None:
                # A box that is not ticked is not sent.
                values[field.name] = bool(texts)
            elif texts:
                # JSON has commas of its own.
                several = field.several and field.unit != "JSON"
                values[field.name] = _split(texts[0]) if several else texts[0]
        return values

    def stored(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A stored request's values, to begin with; those that are the default are absent."""
        return {
            each.name: request[each.name]
            for each in self.fields
            if field_text(request.get(each.name)) not in ("", field_text(each.default))
        }

    def changed(self, field: RequestField, values: Mapping[str, Any]) -> bool:
        """Whether a field has another value than its default."""
        return field_text(values.get(field.name, field.default)) != field_text(field.default)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def field_text(value: Any) -> str:
    """A value as people type it."""
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if isinstance(value, (dict, bool)):
        return json.dumps(value)
    return str(value).removesuffix(".0")


def describe(error: TipstaffError | str, titles: Mapping[str, str]) -> str:
    """An error for a page: fields are called by their titles, or by their names in words."""
    if isinstance(error, str):
        return error
    return error.describe(lambda name: titles.get(name, name.replace("_", " ")))
