"""What ground truths are: reference answers, or texts that outputs must be faithful to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from tipstaff_trainer.data import Row

Kind = Literal["reference", "context", "form"]

# A ground truth of more words is a text that the output must be faithful to.
_MOST_REFERENCE_WORDS = 8
# No list of alternative answers has as many.
_MOST_LISTED_WORDS = 24
_SENTENCE_END = re.compile(r'[a-z\d)"”]\s?[.!?]["”)]?(?:\s|$)')
_SEPARATOR = re.compile(r"[|/;]")
# Of a file of one kind, fewer rows look like the other.
_FEWEST_OF_A_KIND = 0.1


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of ground truth that some rows have.

    Attributes:
        usual: That of most rows. `reference`: short reference answers to compare with. `context`:
            texts that the output must be faithful to. `form`: most rows have no ground truth, so
            that only the form of the output can be changed without a change of the label.
        mixed: Whether rows are reference answers and contexts, as where data sets were joined.
    """

    usual: Kind
    mixed: bool = False

    @property
    def all(self) -> tuple[Kind, ...]:
        """The kinds that there are, the usual one first."""
        return (self.usual, _other(self.usual)) if self.mixed else (self.usual,)

    def of(self, row: Row) -> Kind:
        """A row's kind: the usual one, unless rows are mixed and it is clearly of the other."""
        clear = _clear_kind(row.interaction.ground_truth or "") if self.mixed else None
        return clear or self.usual

    def __str__(self) -> str:
        return " and ".join(self.all)


def kinds_of(rows: Sequence[Row]) -> Kinds:
    """Reads the kinds of ground truth off some rows."""
    truths = [truth for row in rows if (truth := row.interaction.ground_truth or "").strip()]
    if 2 * len(truths) <= len(rows):
        return Kinds("form")
    short = median(len(truth.split()) for truth in truths) <= _MOST_REFERENCE_WORDS
    usual: Kind = "reference" if short else "context"
    others = sum(_clear_kind(truth) == _other(usual) for truth in truths)
    return Kinds(usual, mixed=others >= _FEWEST_OF_A_KIND * len(truths))


def _other(kind: Kind) -> Kind:
    return "context" if kind == "reference" else "reference"


def _clear_kind(truth: str) -> Kind | None:
    """The kind of a ground truth that can't be mistaken for the other; None in doubt."""
    # Of alternative answers the longest counts: a list of names with titles is no text.
    words = max(len(part.split()) for part in _SEPARATOR.split(truth))
    if not words:
        return None
    sentence = bool(_SENTENCE_END.search(truth))
    if words > (_MOST_REFERENCE_WORDS if sentence else _MOST_LISTED_WORDS):
        return "context"
    return None if sentence or words > _MOST_REFERENCE_WORDS else "reference"
