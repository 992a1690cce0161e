"""Parses one cell of a file; raises ValueError with the reason where a cell can't be used."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from tipstaff.texts import text_of

Choice = TypeVar("Choice", bound=str)

_LONGEST_SHOWN = 40
# A float holds any whole number up to this one.
_LARGEST_WHOLE = 2**53
# What tools write for a value that isn't there.
ABSENT = frozenset(
    "nan none null n/a n.a. n.a na #n/a #value! #ref! #name? #null! <na> nat nil undefined".split()
) | {"", "not available", "not applicable"}
# pandas' values for what isn't there, by the names of their types.
_ABSENT_TYPES = ("NAType", "NaTType")


def plain(value: Any) -> Any:
    """A cell as JSON's types, Decimal or bytes, from whatever library it comes.

    NumPy's numbers and arrays, Arrow's scalars, Polars' series, tuples, dates and UUIDs are
    converted; what pandas writes for an absent value becomes None, NaN stays.
    """
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, (date, time, timedelta, UUID)):
        return None if type(value).__name__ in _ABSENT_TYPES else str(value)
    if type(value).__name__ in _ABSENT_TYPES:
        return None
    # In the order of Arrow, NumPy, Polars; none of them need be installed.
    for convert in ("as_py", "tolist", "to_list"):
        if callable(getattr(value, convert, None)):
            converted = getattr(value, convert)()
            return value if converted is value else plain(converted)
    return value


def text(value: object) -> str | None:
    """A text field; None when absent.

    Numbers, dates and UUIDs become text; messages, tool calls, passages and other objects take the
    form of `tipstaff.text_of`. NaN counts as absent, since pandas writes a missing text so, and
    writes whole numbers beside it as 1.0.
    """
    value = plain(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if math.isnan(value):
            return None
        whole = isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE
        return str(int(value)) if whole else str(value)
    if isinstance(value, (list, dict)):
        try:
            return text_of(value)
        except ValueError as error:
            raise ValueError(f"{abbreviate(value)} is not text: {error}") from None
    raise ValueError(f"{abbreviate(value)} is not text; give a text, or a list of texts")


def is_blank(value: object) -> bool:
    """Whether a cell of any library holds nothing; a word such as N/A is a text here."""
    value = plain(value)
    return value is None or value in ("", [], {}) or value != value  # NaN


def is_absent(value: object, more: Collection[str] = ()) -> bool:
    """Whether a cell holds nothing: blank, NaN, or a word for it such as N/A.

    Args:
        value: The cell, as `plain` gives it.
        more: Further words that mean so, in lower case.
    """
    if isinstance(value, (float, Decimal)) and math.isnan(value):
        return True
    found = word(value)
    return found is not None and (found in ABSENT or found in more)


def weight(value: object) -> float:
    """A finite weight of at least 0; 1 when absent or empty."""
    if is_absent(plain(value)):
        return 1.0
    number = None if isinstance(value, bool) else number_of(plain(value))
    if number is None or not 0 <= number < math.inf:
        raise ValueError(f"{abbreviate(value)} is not a weight; write a number of 0 or more")
    return number


def choice(value: object, allowed: Sequence[Choice]) -> Choice | None:
    """One of the allowed words, in any case; None when absent or empty."""
    if is_absent(plain(value)):
        return None
    for candidate in allowed:
        if word(value) == candidate:
            return candidate
    raise ValueError(f"{abbreviate(value)} is not one of {', '.join(allowed)}")


def anything(value: object) -> str:
    """Any cell as text, empty when absent; objects and lists as JSON."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def jsonable(value: object) -> Any:
    """A cell as JSON can hold it: NaN and infinity, which it lacks, become None."""
    return _finite(plain(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(part) for part in value]
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return value


def abbreviate(value: object) -> str:
    """A value for a message: on one line, and short."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"


def word(value: object) -> str | None:
    """A text in lower case without space around it; empty when absent, None for other types."""
    if value is None or isinstance(value, str):
        return (value or "").strip().casefold()
    return None


def number_of(value: object) -> float | None:
    """A cell as a number; None if it holds none."""
    if not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
