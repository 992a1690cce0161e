"""Measures the text that an encoder can't read, though no token of it was cut.

Two kinds of text never reach the encoder's weights:

- *Unknown words*: the vocabulary can't spell them, so that each becomes the same unknown token. A
  Thai sentence without spaces is one such word, and so is any emoji.
- *Dropped characters*: normalisation removes them, such as zero-width characters, Unicode tags,
  soft hyphens, variation selectors, control characters and private use. An accent that a base
  encoder strips is not among them, but a pile of accents and a stroke through a letter are.

Characters are counted, not tokens, since one unknown token may hold a whole text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Bools = npt.NDArray[np.bool_]
Spans = Sequence[tuple[int, int]]

# Kinds of characters; 0 for those that were not looked up yet.
_READ, _BLANK, _ACCENT, _DROPPED = 1, 2, 3, 4
# What Python, but not Unicode, counts as white space.
_SEPARATORS = re.compile("[\x1c-\x1f]")
# Stands between characters that are normalised together: hardly any other becomes it.
_JOINT = "#"
# Characters of scripts come before this one; later ones are tags and private use.
_PLANES = 0x40000
# Unicode's categories of surrogates, of private use, and of what has no character yet.
_UNNAMED = ("Cs", "Co", "Cn")
# Most accents that writing puts on one letter, as in pointed Hebrew; more are decoration.
_MOST_ACCENTS = 4


class Unread(NamedTuple):
    """What of a text is not read.

    Attributes:
        unknown: Tokens of unknown words.
        dropped: Characters that were dropped.
        share: Share of the characters that were dropped or are in unknown words, in [0, 1]. Blanks,
            and accents that belong to a letter, don't count.
    """

    unknown: int = 0
    dropped: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Characters:
    """Which characters of a text are read.

    Attributes:
        unknown: Tokens of unknown words.
        counted: The characters that count: neither blanks nor accents of a letter; shape
            (characters,).
        dropped: Those of them that were dropped, shape (characters,).
        unread: Those of them that were dropped or are in unknown words, shape (characters,).
    """

    unknown: int
    counted: Bools
    dropped: Bools
    unread: Bools

    @property
    def share(self) -> float:
        """Share of the characters that is not read; 0 where none counts."""
        return int(self.unread.sum()) / max(1, int(self.counted.sum()))


class UnreadMeter:
    """Measures what is not read with one tokenizer. Safe to use from several threads.

    Args:
        tokenizer: The tokenizer.
        frame: Ids of the tokens that separate fields. Where a text spells one, it is left out, so
            that it counts as unknown.
    """

    def __init__(self, tokenizer: Tokenizer, frame: Collection[int] = ()) -> None:
        self._normalizer = tokenizer.normalizer
        unknown, self._skips = _unspelled(tokenizer)
        self._unknown = frozenset(frame) if unknown is None else frozenset({*frame, unknown})
        # By code point; filled as characters come up.
        self._kinds = np.zeros(0x110000, dtype=np.uint8)
        ascii_kinds = self._look_up(np.arange(128))
        ordinary = np.isin(ascii_kinds, (_READ, _BLANK))
        self._ordinary = bytes(np.flatnonzero(ordinary).tolist())

    def warm_up(self) -> None:
        """Looks up the characters of all scripts, so that no text has to wait for that."""
        every = map(chr, range(_PLANES))
        self._learn([each for each in every if unicodedata.category(each) not in _UNNAMED])

    def measure(self, text: str, ids: Sequence[int], offsets: Spans) -> Unread:
        """What of a text is not read.

        Args:
            text: The text.
            ids: Its tokens, shape (tokens,).
            offsets: Where each token starts and ends in the text, shape (tokens,).
        """
        if self._is_ordinary(text):
            if self._unknown.isdisjoint(ids):
                return Unread()
            if not _SEPARATORS.search(text):
                return _in_unknown_words(text, self._unknown_spans(ids, offsets))
        characters = self.characters(text, ids, offsets)
        return Unread(characters.unknown, int(characters.dropped.sum()), characters.share)

    def characters(self, text: str, ids: Sequence[int], offsets: Spans) -> Characters:
        """Which characters are read; the arguments are `measure`'s."""
        kinds = self._look_up(_code_points(text))
        accents = _own_accents(kinds)
        counted = (kinds != _BLANK) & ~accents
        dropped = counted & (kinds >= _ACCENT)
        if self._skips:
            dropped |= counted & ~_within(_as_array(offsets), len(text))
        spans = _as_array(self._unknown_spans(ids, offsets))
        # A blank may be an unknown token, too.
        before = np.concatenate([[0], np.cumsum(counted)])
        words = int((before[spans[:, 1]] > before[spans[:, 0]]).sum())
        return Characters(words, counted, dropped, dropped | (counted & _within(spans, len(text))))

    def _unknown_spans(self, ids: Sequence[int], offsets: Spans) -> list[tuple[int, int]]:
        unknown = self._unknown
        return [span for token, span in zip(ids, offsets, strict=True) if token in unknown]

    def _is_ordinary(self, text: str) -> bool:
        """Whether the normaliser leaves something of every character."""
        if self._skips:
            return False
        if text.isascii():
            return not text.encode().translate(None, self._ordinary)
        return int(self._look_up(_code_points(text)).max()) < _ACCENT

    def _look_up(self, codes: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        """The kind of each character, shape (characters,)."""
        kinds: npt.NDArray[np.uint8] = self._kinds[codes]
        if not kinds.all():
            self._learn([chr(code) for code in np.unique(codes[kinds == 0]).tolist()])
            kinds = self._kinds[codes]
        return kinds

    def _learn(self, characters: Sequence[str]) -> None:
        """Fills in the kinds of characters."""
        # Letters and signs take one call together, ten times as fast as one call for each.
        visible = [each for each in characters if unicodedata.category(each)[0] in "LNPS"]
        pieces = visible
        if self._normalizer is not None:
            pieces = self._normalizer.normalize_str(_JOINT.join(visible)).split(_JOINT)
        if len(pieces) == len(visible):  # otherwise one of them became the joint itself
            read = [ord(each) for each, piece in zip(visible, pieces, strict=True) if piece.strip()]
            self._kinds[read] = _READ
        codes = np.fromiter(map(ord, characters), dtype=np.int64, count=len(characters))
        for code in codes[self._kinds[codes] == 0].tolist():
            self._kinds[code] = self._kind(chr(code))

    def _kind(self, character: str) -> int:
        if character.isspace() and not _SEPARATORS.match(character):
            return _BLANK
        if self._normalizer is None or self._normalizer.normalize_str(character).strip():
            return _READ
        return _ACCENT if _is_accent(character) else _DROPPED


def _in_unknown_words(text: str, spans: Spans) -> Unread:
    """What is not read of a text without accents, separators and dropped characters.

    Most texts are of this kind. `UnreadMeter.characters` would say the same, and take ten times as
    long for a sentence.

    Args:
        text: The text.
        spans: Where each token of an unknown word starts and ends in it, in order.
    """
    words = unread = counted_to = 0
    for start, end in spans:
        words += bool(text[start:end].strip())
        # Tokens that come from one character share it.
        unread += _count(text[max(start, counted_to) : end])
        counted_to = max(counted_to, end)
    return Unread(words, 0, unread / max(1, _count(text)))


def _count(text: str) -> int:
    """The characters that Python doesn't count as white space."""
    return sum(map(len, text.split()))


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _unspelled(tokenizer: Tokenizer) -> tuple[int | None, bool]:
    """How a tokenizer encodes text that its vocabulary can't spell.

    Returns:
        The id that stands for it, if there is one; and whether it is left out.
    """
    if (token := getattr(tokenizer.model, "unk_token", None)) is not None:
        return tokenizer.token_to_id(token), False
    # Unigram's isn't an attribute.
    described = json.loads(tokenizer.to_str())
    unknown: int | None = described["model"].get("unk_id")
    spells_bytes = described["model"].get("byte_fallback") is True
    spells_bytes |= "ByteLevel" in str(described["pre_tokenizer"])
    return unknown, unknown is None and not spells_bytes


def _is_accent(character: str) -> bool:
    """Whether a mark stands beside a letter that can be written without it.

    Unicode's combining classes tell: 200 and above for marks around any letter, 10 to 36 for points
    in Hebrew, Arabic and Syriac. Vowel signs of Indic scripts and of Thai, strokes through letters
    and variation selectors have others.
    """
    place = unicodedata.combining(character)
    return place >= 200 or 10 <= place <= 36


def _own_accents(kinds: npt.NDArray[np.uint8]) -> Bools:
    """Which accents belong to a letter, and are not too many for it; shape (characters,)."""
    accents: Bools = kinds == _ACCENT
    if not accents.any():
        return accents
    places = np.arange(len(kinds))
    letters = np.maximum.accumulate(np.where(accents, -1, places))
    accents &= (letters >= 0) & (kinds[letters] != _BLANK) & (places - letters <= _MOST_ACCENTS)
    return accents


def _as_array(spans: Spans) -> npt.NDArray[np.int64]:
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


def _within(spans: npt.NDArray[np.int64], length: int) -> Bools:
    """Which of `length` characters are in one of the spans of shape (n, 2); shape (length,)."""
    starts, ends = (np.bincount(edge, minlength=length + 1) for edge in spans.T)
    inside: Bools = np.cumsum(starts - ends)[:length] > 0
    return inside
