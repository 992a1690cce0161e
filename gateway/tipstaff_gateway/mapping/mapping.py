"""The mapping file: how each protocol's requests become interactions.

    [litellm]
    input = ["last_user"]
    output = ["answer"]
    ground_truth = ["tool_results", "tag:context"]
    evaluator = "support-faithful"
    review = "block"

A section replaces only the keys that it names. A field that no source finds is absent; the server
reports MISSING_FIELD if the evaluator reads it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from tipstaff.errors import UsageError
from tipstaff.types import FIELDS, Field, Interaction
from tipstaff_gateway.mapping.sources import Exchange, Found, Source, join, parse_source
from tipstaff_gateway.policy import Review

GROUND_TRUTH_HEADER = "header:tipstaff-ground-truth"


@dataclass(frozen=True, slots=True)
class Mapped:
    """An interaction, and the kinds of parts of its sources that are not text."""

    interaction: Interaction
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProtocolMapping:
    """How one protocol's requests become interactions.

    Attributes:
        input: Sources of the input; their texts are joined.
        output: Sources of the output.
        ground_truth: Sources of the ground truth.
        evaluator: The evaluator to ask; empty for the gateway's.
        review: What becomes of an answer whose verdict is REVIEW.
    """

    input: tuple[Source, ...]
    output: tuple[Source, ...]
    ground_truth: tuple[Source, ...]
    evaluator: str = ""
    review: Review = "block"

    def sources(self, field: Field) -> tuple[Source, ...]:
        """The sources of one field by its name."""
        return getattr(self, field)  # type: ignore[no-any-return]

    def find(self, exchange: Exchange, field: Field) -> Found:
        """What a field's sources find."""
        return join([source.find(exchange) for source in self.sources(field)])

    def map(self, exchange: Exchange) -> Mapped:
        """The interaction in a request."""
        found = {field: self.find(exchange, field) for field in FIELDS}
        return Mapped(
            Interaction(**{field: each.text for field, each in found.items()}),
            tuple(kind for each in found.values() for kind in each.unread),
        )


_FACTS = ("tool_results", "tag:context", GROUND_TRUTH_HEADER)
# Sources of input, output and ground truth.
_SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "litellm": (("last_user",), ("answer",), _FACTS),
    "envoy": (("last_user",), ("answer",), _FACTS),
    "nemo": ((), ("text",), (GROUND_TRUTH_HEADER,)),
    "kserve": (("tensor:input",), ("tensor:output",), ("tensor:ground_truth",)),
}
PROTOCOLS = tuple(_SOURCES)


def default_mapping() -> dict[str, ProtocolMapping]:
    """The mapping of each protocol without a file."""
    return {
        protocol: ProtocolMapping(_parsed(given), _parsed(answered), _parsed(known))
        for protocol, (given, answered, known) in _SOURCES.items()
    }


def load_mapping(path: Path | None) -> dict[str, ProtocolMapping]:
    """Reads a mapping file; without one, gives the defaults.

    Raises:
        UsageError: The file can't be read, or something in it is invalid; says where.
    """
    mappings = default_mapping()
    if path is None:
        return mappings
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = f"can't be read: {error.strerror}"
        raise UsageError(why, field="mapping", value=str(path)) from None
    except ValueError as error:
        raise UsageError(f"not TOML: {error}", field="mapping", value=str(path)) from None
    for protocol, section in sections.items():
        where = f"{path}: [{protocol}]"
        known = ", ".join(f"[{name}]" for name in PROTOCOLS)
        if not isinstance(section, Mapping):
            raise UsageError(f"{path}: {protocol}: stands outside of a section; they are {known}")
        if protocol not in mappings:
            raise UsageError(f"{where}: there is no such section; there are {known}")
        mappings[protocol] = _replaced(mappings[protocol], section, where)
    return mappings


def _parsed(names: Iterable[str]) -> tuple[Source, ...]:
    return tuple(map(parse_source, names))


def _replaced(mapping: ProtocolMapping, section: Mapping[str, Any], where: str) -> ProtocolMapping:
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key in FIELDS:
            values[key] = _sources(value, f"{where} {key}")
            continue
        if key == "evaluator":
            wanted = "" if isinstance(value, str) else "a name"
        elif key == "review":
            choices = get_args(Review)
            wanted = "" if value in choices else " or ".join(map(repr, choices))
        else:
            keys = ", ".join((*FIELDS, "evaluator", "review"))
            raise UsageError(f"{where} {key}: there is no such key; there are {keys}")
        if wanted:
            raise UsageError(f"{where} {key}: must be {wanted}")
        values[key] = value
    return replace(mapping, **values)


def _sources(value: Any, where: str) -> tuple[Source, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{where}: must be a list of sources")
    try:
        return _parsed(names)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}") from None
