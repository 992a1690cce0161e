"""Requests: what an operation is asked to do, typed, described and checked in one place.

A command's flags, a page's form, a method's keyword arguments and a job's row are views of an
operation's request: a field that is added to the model appears in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from tipstaff.errors import UsageError

Model = TypeVar("Model", bound=BaseModel)


class Request(BaseModel):
    """What one operation is asked to do. Holds no secrets: a job keeps it in its row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: Mapping[str, Any] | Self) -> Self:
        """Checks what was given for the fields.

        Args:
            values: By field name, as Python values or as text; or a request, which is returned.

        Raises:
            UsageError: A value is off or a field is unknown; names the field.
        """
        return parse(cls, values)


def parse(model: type[Model], values: Mapping[str, Any] | Model) -> Model:
    """As `Request.parse`, for any model of settings."""
    if isinstance(values, model):
        return values
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise usage_error(error, model) from None


def usage_error(error: ValidationError, model: type[BaseModel]) -> UsageError:
    """The first of a validation's errors, with its field and value as data."""
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
    """A field of a request, with what its views show.

    Args:
        default: As for pydantic's `Field`; none makes the field a required one.
        description: A command's help and a form's hint.
        title: What a form calls it; its name in words when None.
        unit: What a number counts, as in `seconds`.
        common: Whether a form shows it at once rather than under its further settings.
        local: Whether only someone at this machine may set it, as a path or a module to import:
            forms leave it out.
        bounds: `ge`, `le`, `min_length` and the like, as for `Field`.
    """
    extra: JsonDict = {"unit": unit, "common": common, "local": local}
    return Field(default, title=title, description=description, json_schema_extra=extra, **bounds)


def _reason(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
