"""Changes of an output's form that leave its meaning: letters, case, order, lists."""

from __future__ import annotations

import random
import re
from collections.abc import Collection

from tipstaff_trainer.probes import texts

_LOOK_ALIKES = dict(zip("aceiopsxyABCEHKMOPTX", "асеіорѕхуАВСЕНКМОРТХ", strict=True))
_NEIGHBOURS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHARE_OF_LETTERS = 0.1
_SHARE_OF_WORDS = 0.15


def lower_case(text: str) -> str:
    """No capitals."""
    return text.lower()


def look_alikes(text: str, generator: random.Random) -> str:
    """A tenth of the letters, one at least, written with Cyrillic ones that look the same."""
    places = [place for place, letter in enumerate(text) if letter in _LOOK_ALIKES]
    if not places:
        return text
    count = max(1, round(_SHARE_OF_LETTERS * len(places)))
    chosen = set(generator.sample(places, count))
    return "".join(_LOOK_ALIKES[c] if place in chosen else c for place, c in enumerate(text))


def typos(text: str, generator: random.Random, *, swap: bool, kept: Collection[str] = ()) -> str:
    """Typing errors in a sixth of the longer words, never in the first letter or in numbers.

    Args:
        text: The text.
        generator: Draws the places.
        swap: Two letters swapped or one dropped; otherwise one doubled or a neighbouring key hit.
        kept: Words that stay as they are, in lower case.
    """
    pieces = re.split(r"(\s+)", text)
    places = [place for place, word in enumerate(pieces) if _typed(word) - set(kept)]
    if not places:
        return text
    for place in generator.sample(places, max(1, round(_SHARE_OF_WORDS * len(places)))):
        pieces[place] = _mistyped(pieces[place], generator, swap=swap)
    return "".join(pieces)


def _typed(word: str) -> set[str]:
    """The word, in lower case, if it is long enough to be mistyped."""
    match = re.fullmatch(r"([^\W\d_]{5,})\W*", word)
    return set() if match is None else {match[1].casefold()}


def _mistyped(word: str, generator: random.Random, *, swap: bool) -> str:
    place = generator.randrange(1, len(re.match(r"\w+", word)[0]) - 1)  # type: ignore[index]
    before, here, after = word[:place], word[place], word[place + 1 :]
    first = generator.random() < 0.5
    if swap:
        return before + after[0] + here + after[1:] if first else before + after
    row = next((row for row in _NEIGHBOURS if here.lower() in row), here)
    neighbour = row[(row.index(here.lower()) + 1) % len(row)]
    return before + here + here + after if first else before + neighbour + after


def as_list(text: str, generator: random.Random) -> str | None:
    """Each sentence as an item of a list; None for one sentence without a comma."""
    parts = texts.sentences(text)
    if len(parts) < 2:
        return None
    bullet = generator.choice(("- ", "* ", "• ", "{}. ", "{}) "))
    return "\n".join(bullet.replace("{}", str(n)) + part for n, part in enumerate(parts, 1))


def reordered(text: str, generator: random.Random) -> str | None:
    """Its sentences in another order; None for one sentence."""
    parts = texts.sentences(text)
    if len(set(parts)) < 2:
        return None
    while (order := generator.sample(parts, len(parts))) == parts:
        pass
    return texts.joined(part if part.endswith((".", "!", "?")) else f"{part}." for part in order)
