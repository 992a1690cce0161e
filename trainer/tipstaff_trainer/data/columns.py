"""Finds the column of each role in a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Field
from tipstaff_trainer.errors import DataError

Role = Literal[Field, "label", "id", "weight", "group", "label_source", "selection"]
ROLES: tuple[Role, ...] = get_args(Role)

# Names of other tools for a role; the role's own name comes before them.
ALIASES: Mapping[Role, tuple[str, ...]] = {
    "input": ("model_input", "question", "query", "prompt", "user_input"),
    "output": ("model_output", "answer", "response", "completion"),
    "ground_truth": (
        *("context", "contexts", "reference", "references", "documents", "retrieved_contexts"),
        *("retrieval_context", "retrieved_documents", "ground_truths", "source_documents"),
    ),
    "label": ("good",),
}
# Where a file has several of a role's other names, these are that role rather than the others:
# passages that were retrieved are what an answer is held against, not a reference answer.
_PREFERRED: Mapping[Role, tuple[str, ...]] = {
    "ground_truth": ("retrieved_contexts", "retrieval_context", "contexts", "context"),
}
# Columns that hold an interaction's texts, by any of their names.
TEXT_COLUMNS = frozenset(name for role in FIELDS for name in (role, *ALIASES[role]))
# Separates a criterion from a column about its labels, in a file with labels of several criteria.
PART_OF = "."
# Columns about a label.
_OF_LABEL: tuple[Role, ...] = ("label_source", "selection")
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a file by role.

    Attributes:
        names: The column of each role that the file has.
        extra: The columns without a role.
        notes: What a user should know about the choice.
    """

    names: Mapping[Role, str]
    extra: tuple[str, ...]
    notes: tuple[str, ...]


def resolve(
    columns: Sequence[str], mapping: Mapping[str, str], *, labelled: bool, file: str
) -> Columns:
    """Finds the column of each role.

    An explicit mapping comes first, then the role's own name, then its aliases. Names are compared
    without case and surrounding space; a space or a hyphen matches an underscore. A mapped column
    has that role only, but one mapped to group or id may also be a text field. Where the label
    column names one of several criteria, as `toxicity.label` does, the label's source and selection
    are first looked for under the same prefix, as `toxicity.label_source`.

    Args:
        columns: The file's column names.
        mapping: From role to column name, as in `{"label": "correct"}`; empty for no column.
        labelled: Whether there must be a label.
        file: The file's name, for messages.

    Raises:
        UsageError: The mapping names an unknown role.
        DataError: A mapped or needed column is not in the file, or several could be the same role.
    """
    explicit = {
        _role(role, name, columns): _mapped(role, name, columns, file)
        for role, name in mapping.items()
        if name
    }
    none = {_role(role, name, columns) for role, name in mapping.items() if not name}
    names = dict(explicit)
    notes: list[str] = []
    for role in ROLES:
        if role in explicit or role in none:
            continue
        free = [name for name in columns if _is_free(name, role, explicit)]
        prefixed = _prefix(names.get("label", "")) + role if role in _OF_LABEL else role
        own = _matches(free, prefixed) or _matches(free, role)
        aliases = _matches(free, *ALIASES.get(role, ()))
        candidates = own or aliases
        if not own and len(aliases) > 1 and role in _PREFERRED:
            for preferred in _PREFERRED[role]:
                if first := _matches(free, preferred):
                    candidates = first
                    notes.append(
                        _not_read(
                            [each for each in aliases if each != first[0]], role, first[0], file
                        )
                    )
                    break
        if len(candidates) > 1:
            remedy = f"choose one with {{mapping}} {role}=COLUMN"
            raise DataError(f"{file}: {listed(candidates)} could each be {role}", remedy=remedy)
        if candidates:
            names[role] = candidates[0]
        if own and aliases:
            notes.append(_not_read(aliases, role, own[0], file))
    if not any(name in names for name in FIELDS):
        header = " (in CSV, the first line must name the columns)" if file.endswith(".csv") else ""
        raise _missing("input, output or ground_truth", "input", columns, file, hint=header)
    if labelled and "label" not in names:
        raise _missing("label", "label", columns, file)
    extra = tuple(name for name in columns if name not in names.values())
    return Columns(names, extra, tuple(notes))


def check_fields(selected: Sequence[Field], columns: Columns, *, file: str) -> None:
    """Checks a choice of fields to train on.

    Raises:
        UsageError: No field is chosen, or an unknown one.
        DataError: The file has no column for a field.
    """
    if not selected:
        remedy = f"choose one or more of {_words(FIELDS)}"
        raise UsageError("no column to train on is chosen", field="columns", remedy=remedy)
    for name in selected:
        if name not in FIELDS:
            remedy = f"choose from {_words(FIELDS)}"
            raise UsageError(f'"{name}" is no field to train on', field="columns", remedy=remedy)
        if name not in columns.names:
            raise _missing(name, name, (*columns.names.values(), *columns.extra), file)


def field_of(name: str) -> Field | None:
    """The field that a column's name is known for; None if it is none's."""
    return next((field for field in FIELDS if known_as(name, field)), None)


def known_as(name: str, role: Role) -> bool:
    """Whether a column's name is a role's own, or one that is known for it."""
    return _normal(name) in (role, *ALIASES.get(role, ()))


def listed(names: Sequence[str]) -> str:
    """Column names for a message, the first few of many."""
    quoted = [f'"{name[:40]}"' for name in names[:_MOST_SHOWN]]
    rest = len(names) - len(quoted)
    return f"{', '.join(quoted)} and {rest} more" if rest else _words(quoted)


def _not_read(names: Sequence[str], role: str, instead: str, file: str) -> str:
    verb = "is" if len(names) == 1 else "are"
    return f'{file}: {listed(names)} {verb} not read as {role}, since there is "{instead}"'


def _role(role: str, name: str, columns: Sequence[str]) -> Role:
    for known in ROLES:
        if _normal(role) == known:
            return known
    turned = _normal(name) in ROLES and role in columns
    raise UsageError(
        f'nothing can be mapped to "{role}"{"" if turned else f", only to {_words(ROLES)}"}',
        remedy=f"did you mean {{mapping}} {name}={role}?" if turned else "",
    )


def _mapped(role: str, name: str, columns: Sequence[str], file: str) -> str:
    """The column that a mapping names."""
    matches = [name] if name in columns else _matches(columns, _normal(name))
    if not matches:
        message = f'there is no column "{name}" to map to {role}; its columns are {listed(columns)}'
        raise DataError(f"{file}: {message}")
    if len(matches) > 1:
        message = f'{listed(matches)} both match "{name}", which is mapped to {role}'
        raise DataError(f"{file}: {message}", remedy="rename one")
    return matches[0]


def _is_free(name: str, role: Role, explicit: Mapping[Role, str]) -> bool:
    """Whether no mapping keeps a column from having a role."""
    others = {other for other, column in explicit.items() if column == name}
    return not (others - {"group", "id"} if role in FIELDS else others)


def _missing(what: str, role: str, columns: Sequence[str], file: str, hint: str = "") -> DataError:
    return DataError(
        f"{file}: no column for {what}; its columns are {listed(columns)}",
        remedy=f"name one with {{mapping}} {role}=COLUMN{hint}",
    )


def _prefix(label: str) -> str:
    """The prefix of the columns about a label: its criterion's name, or nothing."""
    criterion, between, name = _normal(label).rpartition(PART_OF)
    return criterion + between if name == "label" else ""


def _matches(columns: Sequence[str], *normal: str) -> list[str]:
    """The columns with one of these normalised names."""
    return [name for name in columns if _normal(name) in normal]


def _normal(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def _words(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
