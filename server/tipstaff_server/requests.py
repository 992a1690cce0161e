"""Typed requests of operations: each field is described and checked in one place.

A command's flags, a page's form, a method's keyword arguments and a job's row are views of the
request: a field that is added to the model appears in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from tipstaff.errors import UsageError

Model = TypeVar("Model", bound=BaseModel)


class Request(BaseModel):
    """The request of one operation. Holds no secrets, since a job's row stores it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: Mapping[str, Any] | Self) -> Self:
        """Validates values of the fields.

        Args:
            values: Python values or texts by field name; a request is returned as it is.

        Raises:
            UsageError: A value is invalid or a field is unknown; names the field.
        """
        return parse(cls, values)


def parse(model: type[Model], values: Mapping[str, Any] | Model) -> Model:
    """`Request.parse` for any model of settings."""
    if isinstance(values, model):
        return values
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise usage_error(error, model) from None


def usage_error(error: ValidationError, model: type[BaseModel]) -> UsageError:
    """Converts the first of a validation's errors, with its field and value as data."""
    # A field that doesn't exist comes first: it may be another, which is then missing, misspelt.
    first, *others = sorted(
        error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden"
    )
    if not first["loc"]:
        return UsageError(_reason(first))
    field = str(first["loc"][0])
    if first["type"] == "missing":
        return UsageError("is needed", field=field)
    if first["type"] == "extra_forbidden":
        names = ", ".join(sorted(model.model_fields))
        return UsageError(f"there is no such setting; there are {names}", field=field)
    # A field that takes a word or a number has one error for each. A list with a wrong item also
    # has one as a whole, which would say nothing more.
    also = [
        _reason(each)
        for each in others
        if each["loc"][:1] == first["loc"][:1] and len(each["loc"]) == len(first["loc"])
    ]
    message = "; or: ".join(dict.fromkeys([_reason(first), *also]))
    value = first["input"]
    text = "" if isinstance(value, (Mapping, list)) else str(value)[:80]
    return UsageError(message, field=field, value=text)


def setting(
    default: Any = ...,
    description: str = "",
    *,
    title: str | None = None,
    unit: str = "",
    common: bool = False,
    local: bool = False,
    **bounds: Any,
) -> Any:
    """A field of a request, with the texts that its views show.

    Args:
        default: As for pydantic's `Field`; without it the field is required.
        description: A command's help and a form's hint.
        title: The field's name in forms; derived from its Python name if None.
        unit: What a number counts, as `seconds`, or what kind of text it is, as `file`.
        common: Whether a form shows it at once rather than under "More settings".
        local: Whether only someone at this machine may set it, as a module to import, so that forms
            leave it out; paths need not be marked.
        bounds: `ge`, `le`, `min_length` and the like, as for `Field`.
    """
    extra: JsonDict = {"unit": unit, "common": common, "local": local}
    return Field(default, title=title, description=description, json_schema_extra=extra, **bounds)


def _reason(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
