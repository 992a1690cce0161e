"""Exchanges one piece of a good output: a number, name, unit, date, negation or quantifier.

Each function takes the output, the ground truth that supports it, a generator and other rows'
ground truths, and gives the changed output. It gives None where the output has no such piece that
the ground truth has too: only such an exchange surely makes the output bad.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

from tipstaff_trainer.probes import texts

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NUMBER_WORDS = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
)
# Units of one line measure the same kind of thing, and none is the plural of another.
_UNITS = (
    ("seconds", "minutes", "hours", "days", "weeks", "months", "years", "decades", "centuries"),
    ("kilometres", "kilometers", "miles", "metres", "meters", "feet", "inches", "yards"),
    ("km", "cm", "mm", "ft", "mi"),
    ("kilograms", "grams", "pounds", "ounces", "tons", "tonnes"),
    ("kg", "lb", "oz", "g"),
    ("litres", "liters", "gallons", "pints"),
    ("dollars", "euros", "pounds", "yen", "cents"),
    ("million", "billion", "trillion", "thousand", "hundred"),
    ("percent", "permille"),
    ("£", "€", "$", "¥"),
)
_QUANTIFIERS = (
    ("all", "none"), ("every", "no"), ("always", "never"), ("many", "few"), ("more", "less"),
    ("at least", "at most"), ("before", "after"), ("first", "last"), ("both", "neither"),
    ("everyone", "nobody"), ("largest", "smallest"), ("highest", "lowest"), ("longest", "shortest"),
    ("oldest", "youngest"), ("above", "below"), ("increased", "decreased"), ("north", "south"),
    ("east", "west"), ("open", "closed"),
)  # fmt: skip
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|will|would|should|does|do|did)\b"
    r"(?!\s*(?:not\b|n't))"
)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')
_NEGATION = re.compile(r"\b(?:not|never)\s+|n't\b|\bno longer\s+", re.IGNORECASE)
_WORD = r"(?:(?:[A-Z]\.)+|[A-Z][\w'-]+)"
_NAME = re.compile(rf"\b{_WORD}(?: (?:of |the |de |van )?{_WORD})*")
_NUMBER = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w)")
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")

# Takes the output, the ground truth, a generator, and other texts to take pieces from.
Exchange = Callable[[str, str, random.Random, Sequence[str]], str | None]


def number(
    output: str, truth: str, generator: random.Random, others: Sequence[str] = ()
) -> str | None:
    """Another number, of a similar size, or another number word."""
    found = [each for each in _NUMBER.findall(output) if texts.contains(truth, each)]
    found = [each for each in found if not _YEAR.fullmatch(each)]
    if found:
        old = generator.choice(found)
        return _replaced(output, old, _other_number(old, generator), truth)
    spelled = [word for word in _NUMBER_WORDS if _has(output, word) and texts.contains(truth, word)]
    if not spelled:
        return None
    old = generator.choice(spelled)
    return _replaced(output, old, _another(_NUMBER_WORDS, old, generator), truth)


def date(
    output: str, truth: str, generator: random.Random, others: Sequence[str] = ()
) -> str | None:
    """Another year, month or day of the week."""
    years = [each for each in _YEAR.findall(output) if texts.contains(truth, each)]
    if years:
        old = generator.choice(years)
        shift = generator.choice((1, 2, 3, 4, 7, 9, 12, 20, 31)) * generator.choice((-1, 1))
        return _replaced(output, old, str(int(old) + shift), truth)
    return _of_family((_MONTHS, _DAYS), output, truth, generator)


def unit(
    output: str, truth: str, generator: random.Random, others: Sequence[str] = ()
) -> str | None:
    """Another unit of the same kind, or another currency, beside a number of the truth."""
    numbers = "|".join(map(re.escape, _NUMBER.findall(truth)))
    beside = re.findall(rf"(?<!\w)(?:{numbers}) \w+|[£€$¥](?:{numbers})(?!\w)", output)
    return _of_family(_UNITS, output, " ".join(beside), generator) if numbers else None


def quantifier(
    output: str, truth: str, generator: random.Random, others: Sequence[str] = ()
) -> str | None:
    """The opposite of a word such as all, always, more, before, first."""
    pairs = [*_QUANTIFIERS, *((two, one) for one, two in _QUANTIFIERS)]
    sentence = texts.best_sentence(output, truth)
    found = [(old, new) for old, new in pairs if _has(sentence, old) and texts.contains(truth, old)]
    if not found:
        return None
    changed = _replaced(sentence, *generator.choice(found), truth)
    return None if changed is None else output.replace(sentence, changed, 1)


def negation(
    output: str, truth: str, generator: random.Random, others: Sequence[str] = ()
) -> str | None:
    """A `not` put in or taken out, in the sentence that shares most with the ground truth."""
    sentence = texts.best_sentence(output, truth)
    if not sentence or sentence.endswith("?"):
        return None
    # Titles in quotes are names: "I can only imagine".
    plain = _QUOTED.sub(lambda match: "_" * len(match[0]), sentence)
    if (match := _NEGATION.search(plain)) is not None:
        changed = (sentence[: match.start()] + sentence[match.end() :]).replace("  ", " ")
        return output.replace(sentence, changed, 1)
    match = _AUXILIARY.search(plain)
    if match is None or not match.start():
        return None
    return output.replace(sentence, f"{sentence[: match.end()]} not{sentence[match.end() :]}", 1)


def name(
    output: str, truth: str, generator: random.Random, others: Sequence[str] = ()
) -> str | None:
    """Another name, which occurs in one of the other texts."""
    old = [each for each in names(output) if texts.contains(truth, each)]
    if not old:
        return None
    longest = max(old, key=len)
    new = [
        each
        for text in generator.sample(others, min(len(others), 40))
        for each in names(text)
        if not texts.contains(truth, each) and not texts.contains(output, each)
    ]
    alike = [each for each in new if len(each.split()) == len(longest.split())]
    if not (alike or new):
        return None
    return _replaced(output, longest, generator.choice(alike or new), truth)


def names(text: str) -> list[str]:
    """Runs of capitalised words, without those that only begin a sentence."""
    return [
        match[0].rstrip(".'-")
        for match in _NAME.finditer(text)
        if " " in match[0]
        or (match.start() > 0 and text[match.start() - 2] not in ".!?")
        or len(text.split()) == 1
    ]


def _of_family(
    families: Sequence[Sequence[str]], output: str, truth: str, generator: random.Random
) -> str | None:
    found = [
        (family, each)
        for family in families
        for each in family
        if _has(output, each) and _has(truth, each)
    ]
    if not found:
        return None
    family, old = generator.choice(found)
    changed = _pattern(old).sub(_another(family, old, generator), output)
    return None if changed == output else changed


def _replaced(output: str, old: str, new: str, truth: str) -> str | None:
    """All of `old` replaced; None where the result still holds the truth, or is no other text."""
    changed = _pattern(old).sub(lambda match: _cased(new, match[0]), output)
    return None if changed == output or texts.contains(changed, truth) else changed


def _cased(new: str, old: str) -> str:
    return texts.capital(new) if old[:1].isupper() else new


def _pattern(piece: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if piece[:1].isalnum() else ""
    after = r"(?!\w)" if piece[-1:].isalnum() else ""
    return re.compile(before + re.escape(piece) + after, re.IGNORECASE)


def _has(text: str, piece: str) -> bool:
    return _pattern(piece).search(text) is not None


def _another(family: Sequence[str], old: str, generator: random.Random) -> str:
    return generator.choice([each for each in family if each.casefold() != old.casefold()])


def _other_number(old: str, generator: random.Random) -> str:
    whole, dot, part = old.partition(".")
    value = int(whole.replace(",", ""))
    candidates: Iterator[int] = iter(())
    if value < 10:
        candidates = (each for each in range(1, 13) if each != value)
    else:
        steps = (0.5, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0)
        candidates = (new for step in steps if (new := round(value * step)) != value)
    new = generator.choice(list(candidates))
    return (f"{new:,}" if "," in whole else str(new)) + dot + part
