"""Paths into a file's cells, as in `inputs.question`, `messages[-1].content`, `contexts[*].text`.

A path begins with a column. `.name` steps into an object, `[2]` and `[-1]` into a list, `[*]` takes
every element, `[:-1]` all but the last, and `.*` the only value of an object. A column's own name
comes first: a column that is named `inputs.question` is that column. A cell may be JSON or a Python
literal in a text. What isn't there is absent. Paths with `|` between them are read in their order,
where rows differ in shape: `inputs.question|inputs.text`.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tipstaff_trainer.data.cells import is_blank, plain

_ARRAY = re.compile(r"array\((\[.*\])(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\*|-?\d+)\]|\[(-?\d*):(-?\d*)\]")
_CELLS_LOOKED_AT = 50
# Two texts side by side, perhaps inside a longer text.
_ADJOINING = re.compile(r"""['"]\s+[A-Za-z]{0,2}['"]""")
# Python's parser needs memory by the depth of brackets.
_LONGEST_LITERAL = 200_000

# Between paths of which the first that is there counts.
OR = "|"

Step = str | int | slice


@dataclass(frozen=True, slots=True)
class Path:
    """A path: a column, and the steps into its cells.

    Attributes:
        column: The column that it begins with.
        steps: A name, a position, a slice; `*` for every element or for the only value.
        others: Paths to read in its place where nothing is there, the first of them first.
    """

    column: str
    steps: tuple[Step, ...]
    others: tuple[Path, ...] = ()

    def read(self, values: Mapping[str, object]) -> object:
        """What stands there in a row, by column name; None where it is absent."""
        value = _walk(_column(values, self.column), self.steps)
        # A blank cell is absent; a blank text inside an object is what that row says.
        if self.others and is_blank(value) and not (self.steps and value == ""):
            found = (each.read(values) for each in self.others)
            return next((each for each in found if each is not None), value)
        return value


def parse_path(text: str, columns: Iterable[str]) -> Path | None:
    """Parses a path into one of some columns.

    Args:
        text: As in `messages[-1].content`.
        columns: The file's columns; the longest that the path begins with is its column.

    Returns:
        The path; None if it begins with no column, or is not written as one.
    """
    columns = tuple(columns)
    if OR in text and text not in columns:
        paths = [each for part in text.split(OR) if (each := parse_path(part.strip(), columns))]
        return replace(paths[0], others=tuple(paths[1:])) if paths else None
    begun = [name for name in columns if text == name or _rest(text, name)]
    if not begun:
        # Columns that a table flattened, as `inputs.question` in place of an object `inputs`.
        heads = {name.partition(".")[0] for name in columns if "." in name}
        begun = [head for head in heads if text == head or _rest(text, head)]
    for column in sorted(begun, key=len, reverse=True):
        rest = text[len(column) :]
        steps, end = [], 0
        for match in _STEP.finditer(rest):
            if match.start() != end:
                break
            steps.append(_step(match))
            end = match.end()
        if end == len(rest):
            return Path(column, tuple(steps))
    return None


def suggest_path(cells: Iterable[object]) -> str | None:
    """The steps to the text in cells that hold JSON or a Python literal in a text.

    Returns:
        As `.content` or `[*]`; empty if there is no better reading than the whole; None if the
        cells are plain texts.
    """
    looked_at = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    looked_at = looked_at[:_CELLS_LOOKED_AT]
    decoded = [value for cell in looked_at if (value := decode(cell)) is not None]
    if not decoded or 2 * len(decoded) < len(looked_at):
        return None
    value = decoded[0]
    prefix = ""
    if isinstance(value, list) and value:
        if isinstance(value[0], str):
            return "[*]"
        if not isinstance(value[0], dict):
            return ""
        prefix = "[-1]" if "role" in value[0] else "[*]"
        value = value[0]
    if isinstance(value, dict):
        texts = [name for name, part in value.items() if isinstance(part, str) and name != "role"]
        for name in _LIKELY:
            if name in texts:
                return f"{prefix}.{name}"
        return f"{prefix}.{max(texts, key=lambda name: len(value[name]))}" if texts else prefix
    return ""


# A text's usual names in an object.
_LIKELY = ("content", "page_content", "text", "answer", "output", "question", "input", "value")


def decode(text: str) -> Any:
    """The object or list that a text holds as JSON or as Python writes it; None if it is none."""
    stripped = text.strip()
    if match := _ARRAY.fullmatch(stripped):
        stripped = match[1]
    if stripped[:1] + stripped[-1:] not in ("{}", "[]"):
        return None
    try:
        value = json.loads(stripped)
    except (ValueError, RecursionError):
        if len(stripped) > _LONGEST_LITERAL:
            return None
        try:
            value = ast.literal_eval(_with_commas(stripped))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return value if isinstance(value, (dict, list)) else None


def _with_commas(text: str) -> str:
    """A list as NumPy prints it, with commas: Python would make one text of `'a' 'b'`.

    Finding the texts takes longer than parsing them, so other lists are left as they are.
    """
    if not text.startswith("[") or not _ADJOINING.search(text):
        return text
    parts, before, end = [], 0, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text.replace("\n", " ")).readline):
            start, stop = token.start[1], token.end[1]
            if token.type == tokenize.STRING and before == tokenize.STRING:
                parts.append(",")
            parts.append(text[end:start] + token.string)
            before, end = token.type, stop
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return text
    return "".join(parts)


def is_quoted(text: str) -> bool:
    """Whether a text is a JSON string, as tools write that serialise every value."""
    stripped = text.strip()
    if len(stripped) < 2 or not stripped[0] == stripped[-1] == '"':
        return False
    try:
        return isinstance(json.loads(stripped), str)
    except ValueError:
        return False


def _rest(text: str, column: str) -> bool:
    return text.startswith(column) and text[len(column) :][:1] in (".", "[")


def _step(match: re.Match[str]) -> Step:
    name, index, start, stop = match.groups()
    if name is not None:
        # The only value of an object is written `.*`.
        return "." if name == "*" else name
    if index is not None:
        return "*" if index == "*" else int(index)
    return slice(int(start) if start else None, int(stop) if stop else None)


def _column(values: Mapping[str, object], column: str) -> object:
    if column in values:
        return values[column]
    parts = {
        name[len(column) + 1 :]: value
        for name, value in values.items()
        if name.startswith(f"{column}.") and value is not None
    }
    return parts or None


def _walk(value: object, steps: Sequence[Step]) -> object:
    value = plain(value)
    for position, step in enumerate(steps):
        if isinstance(value, str):
            value = decode(value)
        if step == ".":
            values = list(value.values()) if isinstance(value, dict) else []
            value = values[0] if len(values) == 1 else None
        elif step == "*":
            if isinstance(value, dict):
                value = list(value.values())
            if not isinstance(value, list):
                return None
            rest = steps[position + 1 :]
            found = [each for part in value if (each := _walk(part, rest)) is not None]
            return found or None
        elif isinstance(step, str):
            value = _named(value, step)
        elif not isinstance(value, list):
            return None
        elif isinstance(step, slice):
            value = value[step] or None
        else:
            value = value[step] if -len(value) <= step < len(value) else None
        if value is None:
            return None
    return value


def _named(value: object, name: str) -> object:
    if not isinstance(value, dict):
        return None
    if name in value:
        return value[name]
    # A name with dots, as Phoenix's `document.content`, is found by its first part.
    parts = {
        key[len(name) + 1 :]: part for key, part in value.items() if str(key).startswith(f"{name}.")
    }
    return parts or None
