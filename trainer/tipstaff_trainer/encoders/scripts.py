"""Names the writing system of a character, from its name in Unicode."""

from __future__ import annotations

import unicodedata

INVISIBLE = "invisible characters"
_SYMBOLS = "emoji and symbols"
# In a letter's name the script comes first, then one of these: THAI CHARACTER KO KAI.
_AFTER_SCRIPT = frozenset(
    "ACCENT CAPITAL CHARACTER CHOSEONG COMPATIBILITY CONSONANT DIGIT IDEOGRAPH INDEPENDENT "
    "JONGSEONG JUNGSEONG LETTER LIGATURE MARK MEDIAL POINT SIGN SMALL SUBJOINED SYLLABICS SYLLABLE "
    "TONE UNIFIED VOWEL".split()
)
_LONGEST_SCRIPT = 2
# The scripts of characters that many scripts share.
_WITHOUT_SCRIPT = {"COMBINING": "combining marks", "DIGIT": "digits"}


def script_of(character: str) -> str:
    """The script of a letter, as `Thai`; a common name for symbols and for invisible characters."""
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    if category[0] == "C" or "VARIATION SELECTOR" in name or not name:
        return INVISIBLE
    if category[0] in "SP" or category == "No":
        return _SYMBOLS
    words = name.split()
    if words[0] in _WITHOUT_SCRIPT:
        return _WITHOUT_SCRIPT[words[0]]
    end = next((place for place, word in enumerate(words) if word in _AFTER_SCRIPT), 1)
    script = " ".join(words[: end if 0 < end <= _LONGEST_SCRIPT else 1]).title()
    return "Han" if script == "Cjk" else script
