"""Wordings of rewritten outputs, in two disjoint halves: one for training, one for probing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Literal

Half = Literal["training", "probing"]


@dataclass(frozen=True, slots=True)
class Wordings:
    """The templates of one half; `training.toml` explains the places in them.

    A `phrase` template takes a few words, a `clause` template a sentence, a `text` template several
    sentences. `composed` templates have slots, as in "<novice> <went for> {}", and `slots` what may
    stand there; a half may have none of these.
    """

    openers: tuple[str, ...]
    closers: tuple[str, ...]
    joints: tuple[str, ...]
    denied_phrase: tuple[str, ...]
    denied_clause: tuple[str, ...]
    asserted_phrase: tuple[str, ...]
    asserted_clause: tuple[str, ...]
    asserted_text: tuple[str, ...]
    contrast_phrase: tuple[str, ...]
    contrast_clause: tuple[str, ...]
    beside: tuple[str, ...]
    greetings: tuple[str, ...]
    endings: tuple[str, ...]
    hedges_before: tuple[str, ...]
    hedges_after: tuple[str, ...]
    echoes: tuple[str, ...]
    questions_alone: tuple[str, ...]
    markdown: tuple[str, ...]
    refusals: tuple[str, ...]
    empty_talk: tuple[str, ...]
    composed_denied_phrase: tuple[str, ...]
    composed_denied_clause: tuple[str, ...]
    composed_asserted_phrase: tuple[str, ...]
    composed_asserted_clause: tuple[str, ...]
    composed_contrast_phrase: tuple[str, ...]
    composed_beside: tuple[str, ...]
    composed_greetings: tuple[str, ...]
    composed_endings: tuple[str, ...]
    composed_hedges_before: tuple[str, ...]
    composed_hedges_after: tuple[str, ...]
    composed_echoes: tuple[str, ...]
    composed_markdown: tuple[str, ...]
    slots: Mapping[str, tuple[str, ...]]


@cache
def wordings(half: Half) -> Wordings:
    """The wordings of one half."""
    text = files(__name__).joinpath(f"{half}.toml").read_text(encoding="utf-8")
    lists = tomllib.loads(text)
    slots = {name: tuple(choices) for name, choices in lists.pop("slots", {}).items()}
    names = [each.name for each in fields(Wordings) if each.name != "slots"]
    return Wordings(**{name: tuple(lists.get(name, ())) for name in names}, slots=slots)
