"""The templates of reports and cards, and how these write numbers."""

from __future__ import annotations

import re
from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel

from tipstaff_server.evaluator.quality import Interval

# What Markdown or HTML would read as more than text; underscores inside of words are text to both.
_MARKUP = re.compile(r"[\\`*\[\]<>|~]|&(?=#?\w+;)|(?<!\w)_+|_+(?!\w)")


def environment(*, escape: bool = True) -> Environment:
    """The templates with this package's filters."""
    templates = Environment(
        loader=PackageLoader("tipstaff_trainer.report"),
        autoescape=escape,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters |= {
        "how": format_number,
        "range": _range,
        "as_text": as_text,
        "metric": _metric,
    }
    return templates


def as_text(text: str) -> str:
    """Escapes a text as one line of Markdown, also for cells of tables."""
    return _MARKUP.sub(
        lambda match: "".join(f"\\{sign}" for sign in match[0]), " ".join(text.split())
    )


def format_number(value: float, how: str) -> str:
    """Formats a number as `percent`, `score`, `count`, `label`, `ms` or another of the formats."""
    return _FORMATS[how](value)


def cells(part: BaseModel, **formats: str) -> tuple[str, ...]:
    """A table's cells: the format (`format_number`) of each field of a part that it shows."""
    return tuple(format_number(getattr(part, name), how) for name, how in formats.items())


def _percent(value: float) -> str:
    return f"{value:.0%}" if value in (0, 1) else f"{value:.1%}"


_FORMATS: dict[str, Callable[[float], str]] = {
    "percent": _percent,
    # Without rounding: 99.95 % must not become 100 %.
    "promised": lambda value: f"{100 * value:.12g}%",
    "score": lambda value: f"{value:.3f}",
    "count": lambda value: f"{value:,.0f}",
    "label": lambda value: f"{value:g}",
    "ms": lambda value: f"{value:.2f}",
    # No negative zero, and a minus sign rather than a hyphen.
    "signed": lambda value: f"{round(value, 3) + 0.0:+.3f}".replace("-", "−"),
    "p": lambda value: f"{value:.2g}",
}


def _range(interval: Interval | None, how: str) -> str:
    if interval is None:
        return "–"
    value, low, high = cells(interval, value=how, low=how, high=how)
    if interval.unknown and how != "signed":
        return f"{value} ({interval.ends()})"
    return f"{value} ({low} to {high})"


def _metric(value: float | None) -> str:
    if value is None:
        return "not defined"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
