"""What people meant by their labels: words, scales, direction, several annotators in a cell.

Every label becomes a probability in [0, 1] that the output is good. What can't be known is asked
for, never guessed.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from tipstaff.errors import UsageError
from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data.cells import (
    abbreviate,
    anything,
    is_absent,
    number_of,
    plain,
    word,
)
from tipstaff_trainer.data.paths import decode

# These say what is so; which of them is good depends on the question.
_YES = frozenset("true yes y t on 1 1.0".split())
_NO = frozenset("false no n f off 0 0.0".split())
# These say whether it is good.
_GOOD = frozenset(
    (
        "pass passed good correct right ok okay acceptable accepted approved valid accurate "
        "faithful supported grounded relevant helpful safe "
        "👍 ✅ ✓ ✔ ☑ 🟢 thumbs_up thumbs-up thumbsup"
    ).split()
) | {"thumbs up"}
_BAD = frozenset(
    (
        "fail failed bad incorrect wrong unacceptable rejected invalid inaccurate "
        "unfaithful unsupported ungrounded irrelevant unhelpful unsafe "
        "👎 ❌ ✗ ✘ ✖ ❎ 🔴 thumbs_down thumbs-down thumbsdown"
    ).split()
) | {"thumbs down"}
# Thumbs come in colours, and signs as text or as pictures.
_SKIN_TONES = re.compile("[\U0001f3fb-\U0001f3ff\ufe0e\ufe0f]")
_SEVERAL = re.compile(r"\s*[;|\n]\s*|,\s+")
_SCALE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|–|to|\.\.)\s*(-?\d+(?:\.\d+)?)\s*", re.IGNORECASE)
# A point of a scale as people write it: 4/5, 4 out of 5, 4 stars, 4 - good.
_POINT = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*"
    r"(?:(?:/|of|out of)\s*\d+(?:\.\d+)?|stars?|points?|[-–:.)=]\s*[^\W\d].*)?\s*",
    re.IGNORECASE,
)
_STARS = re.compile(r"\s*([★⭐]+)[☆✩\s]*")
# Where objects about a label have it.
_ANSWERS = ("value", "choices", "rating", "number", "taxonomy", "label", "score")
WORD_FIELDS = ("good", "bad", "absent")

HighIs = Literal["good", "bad"]


class LabelMeaning(Request):
    """What the labels of a file mean; the default knows the usual words and probabilities."""

    good: tuple[str, ...] = setting((), "labels that mean good, as in correct", unit="WORD")
    bad: tuple[str, ...] = setting((), "labels that mean bad, as in incorrect", unit="WORD")
    absent: tuple[str, ...] = setting(
        (), "labels that mean that there is none, as in -1", unit="WORD"
    )
    scale: str = setting(
        "", "the scale that the labels are on, from its worst to its best: 1-5", unit="LOW-HIGH"
    )
    cut: float | None = setting(
        None,
        "the label from which on it is good, or bad where the upper end is bad (default: the scale "
        "is read as a probability)",
        unit="number",
    )
    high_is: HighIs = setting(
        "good",
        "what 1, true, yes and the scale's upper end mean: bad, where labels flag hallucinations",
    )

    @field_validator("good", "bad", "absent", mode="before")
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        """Accepts one word, words with commas between them, or a list."""
        texts = [value] if isinstance(value, (str, int, float)) else value or ()
        return tuple(
            part.strip() for text in texts for part in str(text).split(",") if part.strip()
        )

    @field_validator("scale", mode="before")
    @classmethod
    def _check_scale(cls, value: Any) -> Any:
        if isinstance(value, (tuple, list)) and len(value) == 2:
            value = f"{value[0]}-{value[1]}"
        if value and not _SCALE.fullmatch(str(value)):
            raise ValueError("is not a scale such as 1-5 or 0-100")
        if value:
            low, high = map(float, _SCALE.fullmatch(str(value)).groups())  # type: ignore[union-attr]
            if low >= high:
                raise ValueError("begins with its lower end, as in 1-5; set {high_is} to turn it")
        return value or ""

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        words = {name: {folded(each) for each in getattr(self, name)} for name in WORD_FIELDS}
        for first, second in (("good", "bad"), ("good", "absent"), ("bad", "absent")):
            if both := words[first] & words[second]:
                raise UsageError(f"is {first} and {second}", field=second, value=min(both))
        return self

    @property
    def given(self) -> dict[str, Any]:
        """What differs from the usual meaning, by field."""
        values = {name: getattr(self, name) for name in LabelMeaning.model_fields}
        fields = LabelMeaning.model_fields
        return {name: value for name, value in values.items() if value != fields[name].default}

    def read(self, value: object) -> float | None:
        """The label of a cell in [0, 1], the mean where several people wrote into it.

        Returns:
            The label; None if there is none.

        Raises:
            ValueError: The cell holds no label; says what a label is.
        """
        value = plain(value)
        try:
            return self._read_one(value)
        except ValueError:
            parts = _several(value)
            if parts is None:
                raise
            labels = [label for part in parts if (label := self._read_one(part)) is not None]
            return math.fsum(labels) / len(labels) if labels else None

    def _read_one(self, value: object) -> float | None:
        found = folded(value) if isinstance(value, (str, int, float)) else None
        if found is not None:
            if found in map(folded, self.absent):
                return None
            for words, label in ((self.good, 1.0), (self.bad, 0.0)):
                if found in map(folded, words):
                    return label
        if is_absent(value):
            return None
        if (said := _quality(found)) is not None:
            return said
        flag = isinstance(value, bool) or (isinstance(value, str) and not self.scale)
        if flag and (found in _YES or found in _NO):
            return self._turned(float(found in _YES))
        low, high = self._ends
        number = number_of(value)
        if number is None and self.scale:
            number = point_of_scale(value)
        if (share := _share(value)) is not None:
            number = low + share * (high - low)
        if number is None or not low <= number <= high:
            raise ValueError(
                f"{abbreviate(value)} is not a label; write 0 or 1, a probability between them, "
                "or one of the words for good and bad"
            )
        if self.cut is not None:
            return float(number >= self.cut if self.high_is == "good" else number < self.cut)
        return self._turned((number - low) / (high - low))

    def _turned(self, label: float) -> float:
        return label if self.high_is == "good" else 1 - label

    @property
    def _ends(self) -> tuple[float, float]:
        match = _SCALE.fullmatch(self.scale)
        return (float(match[1]), float(match[2])) if match else (0.0, 1.0)


def _several(value: object) -> list[Any] | None:
    """The labels in a cell that several people wrote into; None if it holds one."""
    if isinstance(value, str):
        decoded = decode(value)
        value = decoded if decoded is not None else _SEVERAL.split(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not value or value == [""]:
        return None
    if any(isinstance(part, dict) for part in value):
        parts = [_answer(part) for part in value]
        return None if any(part is None for part in parts) else parts
    return value if len(value) > 1 or not isinstance(value[0], list) else None


def _quality(text: str | None) -> float | None:
    """1 or 0 where all words say good, or bad, as in `Pass ✅` and in `Correct.` with a stop."""
    if text is None:
        return None
    for parts in ([text], text.split()):
        bare = [part.rstrip(".!") for part in parts]
        for known, label in ((_GOOD, 1.0), (_BAD, 0.0)):
            if bare and all(part in known for part in bare):
                return label
    return None


def _answer(part: object) -> object:
    """The label in an object about one, as in `{"user_id": 1, "value": "yes"}`; None without.

    Label Studio's tables have `{"choices": ["yes"]}` and `[{"rating": 4}]` in their cells.
    """
    if not isinstance(part, dict):
        return None
    held = [part[name] for name in _ANSWERS if part.get(name) is not None]
    answer = part["value"] if part.get("value") is not None else held[0] if len(held) == 1 else None
    while isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    return None if isinstance(answer, (list, dict)) else answer


def folded(value: object) -> str:
    """A label as it is compared: in lower case, a whole number without its `.0`."""
    text = word(value) if isinstance(value, str) else anything(value).casefold()
    text = _SKIN_TONES.sub("", text or "")
    number = number_of(text)
    whole = number is not None and math.isfinite(number) and number == int(number)
    return str(int(number)) if whole and number is not None else text


def _share(value: object) -> float | None:
    """The share that a percentage is, as 0.9 for `90 %`; None for anything else."""
    if not isinstance(value, str) or not value.strip().endswith("%"):
        return None
    number = number_of(value.strip()[:-1].replace(",", "."))
    return None if number is None else number / 100


def point_of_scale(value: object) -> float | None:
    """The point of a scale that a text names, as 4 for `4/5`, `4 stars` and `★★★★☆`."""
    if not isinstance(value, str):
        return None
    if stars := _STARS.fullmatch(value):
        return float(len(stars[1]))
    match = _POINT.fullmatch(value)
    return float(match[1]) if match else None
