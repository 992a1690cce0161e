"""Parses one cell of a file; raises ValueError with the reason where a cell can't be used."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

Choice = TypeVar("Choice", bound=str)

_GOOD_WORDS = ("true", "yes", "pass", "good")
_BAD_WORDS = ("false", "no", "fail", "bad")
_LONGEST_SHOWN = 40


def text(value: object) -> str | None:
    """A text field; None when absent.

    Numbers become text; a list of texts, such as retrieved passages, is joined by newlines. NaN
    counts as absent, since pandas writes a missing text so.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return None if math.isnan(value) else str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    raise ValueError(f"{abbreviate(value)} is not text; give a text, or a list of texts")


def label(value: object) -> float | None:
    """A label in [0, 1]; None when absent, empty or, as in `text`, NaN."""
    word = _word(value)
    if word == "" or (isinstance(value, (float, Decimal)) and math.isnan(value)):
        return None
    if word in _GOOD_WORDS or word in _BAD_WORDS:
        return float(word in _GOOD_WORDS)
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError(
            f"{abbreviate(value)} is not a label; write 0 or 1, a probability between them, "
            "true/false, yes/no, pass/fail or good/bad, and leave it empty where there is no label"
        )
    return number


def weight(value: object) -> float:
    """A finite weight of at least 0; 1 when absent or empty."""
    if _word(value) == "":
        return 1.0
    number = None if isinstance(value, bool) else _number(value)
    if number is None or not 0 <= number < math.inf:
        raise ValueError(f"{abbreviate(value)} is not a weight; write a number of 0 or more")
    return number


def choice(value: object, allowed: Sequence[Choice]) -> Choice | None:
    """One of the allowed words, in any case; None when absent or empty."""
    word = _word(value)
    if word == "":
        return None
    for candidate in allowed:
        if word == candidate:
            return candidate
    raise ValueError(f"{abbreviate(value)} is not one of {', '.join(allowed)}")


def anything(value: object) -> str:
    """Any cell as text, empty when absent; objects and lists as JSON."""
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def abbreviate(value: object) -> str:
    """A value for a message: on one line, and short."""
    line = json.dumps(value, ensure_ascii=False, default=str)
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"


def _word(value: object) -> str | None:
    """A text in lower case without space around it; empty when absent, None for other types."""
    if value is None or isinstance(value, str):
        return (value or "").strip().casefold()
    return None


def _number(value: object) -> float | None:
    if not isinstance(value, (str, int, float, Decimal)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
