"""What a whole column of labels tells of their meaning, and what to ask where it can't be told."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tipstaff_trainer.data.cells import abbreviate, anything, is_absent, number_of, plain
from tipstaff_trainer.data.label_meaning import (
    WORD_FIELDS,
    LabelMeaning,
    folded,
    point_of_scale,
)
from tipstaff_trainer.errors import DataError

_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_MINUS = ("-1", "-1.0")
_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ResolvedMeaning:
    """What a column's labels mean, with what a user should know and may want to check."""

    meaning: LabelMeaning
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    decimal_commas: bool = False


def resolve_meaning(
    meaning: LabelMeaning, values: Sequence[object], places: Sequence[str], *, place: str
) -> ResolvedMeaning:
    """Looks at a whole column of labels before any is read.

    −1 beside 0 and 1, or beside words for good and bad, means that there is no label, as in Hugging
    Face's data sets; beside 1 alone it could as well mean bad, which is asked for. Labels that
    can't be read are shown together.

    Args:
        meaning: What a user has said of the labels.
        values: The column.
        places: The place of each value's row, for messages.
        place: The file and the column, for messages.

    Raises:
        DataError: What the labels mean can't be known; says what to set.
    """
    kinds = Counter(anything(value).strip() for value in values if not is_absent(plain(value)))
    warnings = []
    if minus := sum(count for text, count in kinds.items() if text in _MINUS):
        said = {folded(each) for name in WORD_FIELDS for each in getattr(meaning, name)}
        others = _labels(meaning, [text for text in kinds if text not in _MINUS])
        if "-1" not in said and not meaning.scale and others is not None:
            if not any(label is not None and label < 0.5 for label in others):
                raise DataError(
                    f"{place}: {minus} labels are -1 and none of the others is bad, so -1 may mean "
                    "bad or that there is no label",
                    remedy="set {bad} to -1, or {absent} to -1",
                )
            meaning = meaning.model_copy(update={"absent": (*meaning.absent, "-1")})
            verb = "label is" if minus == 1 else "labels are"
            warnings.append(f"{place}: {minus} {verb} -1, read as no label, since others say bad")
    commas = _are_decimals(meaning, list(kinds))
    if commas:
        values = [with_points(value) for value in values]
        kinds = Counter({str(with_points(text)): count for text, count in kinds.items()})
        warnings.append(f"{place}: commas are read as decimal points")
    unread: dict[str, str] = {}
    for value, row in zip(values, places, strict=True):
        try:
            meaning.read(value)
        except ValueError:
            unread.setdefault(anything(value).strip(), row)
            if len(unread) > _MOST_SHOWN:
                break
    if unread:
        remedy = _remedy(meaning, [anything(value).strip() for value in values], list(unread))
        if remedy:
            (first, row), *rest = unread.items()
            column = place.partition(", column ")[2]
            nor = ", nor are " if len(rest) > 1 else ", nor is " if rest else ""
            shown = ", ".join(abbreviate(each) for each, _ in rest[:_MOST_SHOWN])
            raise DataError(
                f"{row}, column {column}: {abbreviate(first)} is not a label{nor}{shown}",
                remedy=remedy,
            )
    words = _words_read(meaning, kinds)
    notes = (f"{place}: labels read: {words}",) if words else ()
    return ResolvedMeaning(meaning, tuple(warnings), notes, commas)


def with_points(value: object) -> object:
    """A number with a decimal comma as one with a point; any other value as it is."""
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()):
        return value.strip().replace(",", ".")
    return value


def _are_decimals(meaning: LabelMeaning, texts: Sequence[str]) -> bool:
    """Whether commas are decimal ones: all texts are numbers then, and some no two labels.

    `0,1` alone may be the labels of two people; `0,9` can't.
    """
    decimals = [text for text in texts if _DECIMAL_COMMA.fullmatch(text)]
    if not any(set(text) - set("01,") for text in decimals):
        return False
    numbers = [str(with_points(text)) for text in texts]
    are_numbers = all(number_of(each) is not None for each in numbers)
    return are_numbers and _labels(meaning, numbers) is not None


def _labels(meaning: LabelMeaning, texts: Sequence[str]) -> set[float | None] | None:
    """The labels that some cells are; None where one can't be read."""
    try:
        return {meaning.read(text) for text in texts}
    except ValueError:
        return None


def _remedy(meaning: LabelMeaning, texts: Sequence[str], unread: Sequence[str]) -> str:
    """What to set so that labels can be read; empty if it isn't clear."""
    if all(_DECIMAL_COMMA.fullmatch(each) for each in unread):
        return (
            "write numbers with a point, as 0.5, and labels of several people with a space after "
            "the comma"
        )
    numbers = [number for text in texts if (number := number_of(text)) is not None]
    if len(numbers) > len(texts) / 2 and all(number_of(each) is not None for each in unread):
        if meaning.scale or not all(math.isfinite(each) for each in numbers):
            return ""
        # Where all other numbers are at least 0, −1 stands for a missing label.
        on_scale = [each for each in numbers if each != -1]
        absent = len(on_scale) < len(numbers) and bool(on_scale) and min(on_scale) >= 0
        low, high = (min(on_scale), max(on_scale)) if absent else (min(numbers), max(numbers))
        if low < 0:
            ends = f"{low:g}-{high:g}"
        else:
            ends = "1-5" if low >= 1 and high <= 5 else "0-10" if high <= 10 else "0-100"
        also = ", {absent} to -1 if that means no label" if absent else ""
        return (
            f"set {{scale}} to {ends} if they are on that scale{also}, and {{cut}} to the lowest "
            "that is good, unless the scale is to be read as a probability"
        )
    points = [point for text in texts if (point := point_of_scale(text)) is not None]
    if points and not meaning.scale and all(point_of_scale(each) is not None for each in unread):
        ends = "1-5" if min(points) >= 1 and max(points) <= 5 else f"0-{max(points):g}"
        return f"set {{scale}} to {ends} if they are on that scale"
    if len(unread) <= _MOST_SHOWN and any(number_of(each) is None for each in unread):
        return (
            "say with {good} which words mean good, with {bad} which mean bad, and with {absent} "
            "which mean that there is no label"
        )
    return ""


def _words_read(meaning: LabelMeaning, kinds: Counter[str]) -> str:
    """Which words count as good and bad; empty where all labels are numbers in [0, 1]."""
    numbers = [number_of(text) for text in kinds]
    usual = not meaning.given
    if usual and all(each is not None and 0 <= each <= 1 for each in numbers):
        return ""
    if len(kinds) > _MOST_SHOWN:
        ends = meaning.scale and f"the scale {meaning.scale}"
        cut = "" if meaning.cut is None else f", from {meaning.cut:g} on good"
        turned = ", its upper end as bad" if meaning.high_is == "bad" else ""
        return f"{ends}{cut}{turned}" if ends else ""
    parts = []
    for text, count in kinds.most_common():
        try:
            label = meaning.read(text)
        except ValueError:
            continue
        read_as = "none" if label is None else {0.0: "bad", 1.0: "good"}.get(label, f"{label:.2g}")
        parts.append(f"{abbreviate(text)} as {read_as} ({count})")
    return ", ".join(parts)
