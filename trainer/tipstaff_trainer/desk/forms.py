"""A request as a form: its fields to show, and what was entered for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic import BaseModel

from tipstaff_server.request_fields import RequestField, fields_of


def form_fields(model: type[BaseModel], *, without: Collection[str] = ()) -> list[RequestField]:
    """The fields of a request that a form shows, the common ones first.

    Args:
        model: The request. Fields for someone at the machine alone, as paths, are left out: a
            browser may be anywhere.
        without: Fields that the page asks for in its own way.
    """
    fields = [each for each in fields_of(model) if not each.local and each.name not in without]
    return sorted(fields, key=lambda each: not each.common)


def entered(
    fields: Sequence[RequestField], texts_of: Callable[[str], Sequence[str]]
) -> dict[str, Any]:
    """What was entered into a form's fields, as text; a field that was left empty is absent.

    Args:
        fields: Those that the form showed (`form_fields`).
        texts_of: Gives all texts of a field of the form.
    """
    values: dict[str, Any] = {}
    for field in fields:
        texts = [text.strip() for text in texts_of(field.name) if text.strip()]
        if field.switch and field.default is not None:
            # A box that is not ticked is not sent.
            values[field.name] = bool(texts)
        elif texts:
            values[field.name] = _split(texts) if field.several else texts[0]
    return values


def _split(texts: Sequence[str]) -> list[str]:
    """Several values, which people type into one field with commas between them."""
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]
