"""Reads letters that look like Latin ones as these, so that a disguised word is the same word."""

from __future__ import annotations

import re
import unicodedata

# Cyrillic, Greek and Armenian letters that can't be told from the Latin ones below them; after
# Unicode's confusables (Unicode Technical Standard 39). Small Greek letters other than omicron
# stand beside Latin ones in earnest, as in "TNFα".
_CYRILLIC = ("асԁеһіјӏорԛѕѵԝхуАВСЕНІЈКМОРЅТХУԚԜ", "acdehijlopqsvwxyABCEHIJKMOPSTXYQW")
_GREEK = ("οΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "oABEZHIKMNOPTYX")
_ARMENIAN = ("օոսհ", "onuh")
_LETTERS = {
    ord(foreign): latin
    for script in (_CYRILLIC, _GREEK, _ARMENIAN)
    for foreign, latin in zip(*script, strict=True)
}
_OTHERS = "".join(map(chr, _LETTERS))
_MIXED = re.compile(rf"[A-Za-z][{_OTHERS}]|[{_OTHERS}][A-Za-z]")
_WORD = re.compile(r"[^\W\d_]+")


# Where Unicode has forms of ASCII letters and digits: full width, letter-like, mathematical.
_FORMS = (range(0xFF01, 0xFF5F), range(0x2100, 0x2150), range(0x1D400, 0x1D800))


def _variants() -> dict[int, str]:
    """Forms of ASCII letters and digits, as in "Ｐａｒｉｓ" and "𝟑𝟎", and the plain ones."""
    found = {}
    for code in (code for block in _FORMS for code in block):
        kind, _, plain = unicodedata.decomposition(chr(code)).partition(" ")
        if kind in ("<wide>", "<font>") and chr(int(plain, 16)).isalnum():
            found[code] = chr(int(plain, 16))
    return {code: letter for code, letter in found.items() if letter.isascii()}


_VARIANTS = _variants()
_ALL = frozenset(map(chr, [*_LETTERS, *_VARIANTS]))


def fold_look_alikes(text: str) -> str:
    """The text with look-alike letters as Latin ones; one code point stays one code point.

    Cyrillic, Greek and Armenian letters are read as Latin ones in words that have Latin letters
    too: a word that is all Cyrillic is a word of its language. Forms of ASCII letters and digits
    (full width, mathematical) are read as these everywhere.
    """
    if text.isascii() or _ALL.isdisjoint(text):
        return text
    text = text.translate(_VARIANTS)
    return _WORD.sub(_fold_word, text) if _MIXED.search(text) else text


def _fold_word(match: re.Match[str]) -> str:
    word = match[0]
    return word.translate(_LETTERS) if _MIXED.search(word) else word
