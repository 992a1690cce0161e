"""Texts that are meant to take long: each of any size, for benchmarks and tests."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from itertools import count

# One of these again and again.
_PIECES = {
    "plain English": "The refund for your order was sent within 14 days; the parcel's on its way. ",
    "one letter": "a",
    "CJK": "漢",
    "CJK, many sentences": "漢字。",
    "Thai": "กินข้าวแล้ว",
    "Hangul": "각",
    "digits": "1234567890",
    "letters and digits": "a1",
    "combining marks": "\u0301",
    "combining marks out of order": "\u0301\u0323",
    "letters with marks out of order": "a\u0301\u0323",
    "zero-width": "\u200b",
    "zero-width and spaces": "\u200b ",
    "bidirectional": "\u202eab\u202c",
    "emoji sequences": "👩‍👩‍👧‍👦",
    "tags": "\U000e0061",
    "brackets": "(",
    "pairs of brackets": "([{}])",
    "dots": ".",
    "dots and quotes": ".\"'",
    "dots and spaces": ". ",
    "spaces": " ",
    "line breaks": "\n",
    "one-letter lines": "a\n",
    "one-letter words": "a ",
    "one-letter sentences": "a. ",
    "accented words": "é ",
    "null characters": "\0",
    "underscores": "_",
    "special tokens": "[SEP]",
    "word pieces": "##a ",
    # One character that stands for 18, and letters that become two or three.
    "ligatures": "\ufdfa",
    "letters that grow": "ßΐ",
    "voiced sound marks": "\uff9e",
    "mixed scripts": "\u0430a",
    "mixed words": "p\u0430ris ",
    "full width": "\uff30",
}


def _join(words: Iterator[str], size: int) -> str:
    """Words, as many as make up at most `size` bytes, with blanks between."""
    chosen: list[str] = []
    for word in words:
        size -= len(word.encode()) + 1
        if size < 0:
            break
        chosen.append(word)
    return " ".join(chosen)


def _random_words(letters: str, length: int, beginning: str = "") -> Iterator[str]:
    generator = random.Random(0)
    while True:
        yield beginning + "".join(generator.choices(letters, k=length))


_TEXTS: dict[str, Callable[[int], str]] = {
    **{
        name: lambda size, piece=piece: piece * (size // len(piece.encode()))
        for name, piece in _PIECES.items()
    },
    "a dot and quotes": lambda size: "." + '"' * (size - 1),
    "base64": lambda size: base64.b64encode(random.Random(0).randbytes(size * 3 // 4)).decode(),
    "one mixed word": lambda size: next(_random_words("abcdefgh12345678éß漢ก", size * 3 // 4)),
    "marks of two kinds": lambda size: "\u0301" * (size // 4) + "\u0323" * (size // 4),
    "words that begin each other": lambda size: _join(("a" * n for n in count(4)), size),
    "words that end each other": lambda size: _join(("b" + "a" * n for n in count(4)), size),
    "long words with one beginning": lambda size: _join(
        _random_words("cdefgh", 8, "ab" * 150), size
    ),
    "words of three letters": lambda size: _join(_random_words("abcdefghijklmnop", 3), size),
    "words of five letters": lambda size: _join(_random_words("abcdefghijklmnop", 5), size),
    "distinct words": lambda size: _join((f"{n:x}q" for n in count()), size),
    "many characters": lambda size: "".join(chr(0x4E00 + n % 20_000) for n in range(size // 3)),
}
NAMES = tuple(_TEXTS)


def hostile_text(name: str, size: int) -> str:
    """One of the texts, of about `size` bytes as UTF-8, at most a few more.

    Args:
        name: One of `NAMES`.
        size: Bytes, at least 1,000.
    """
    return _TEXTS[name](size)
