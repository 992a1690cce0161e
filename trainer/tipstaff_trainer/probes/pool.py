"""What a rewriting needs besides the row: its reference answers, and wrong answers to it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from tipstaff_trainer.data import Row
from tipstaff_trainer.probes import texts

Kind = Literal["reference", "context", "form"]

# A ground truth of more words is a text that the output must be faithful to.
_MOST_REFERENCE_WORDS = 8
_SEPARATORS = (" | ", "|", " / ", "/", ";")
# Alternatives are in many ground truths of a file, a slash as in "km/h" only in a few.
_FEWEST_SEPARATED = 0.1
# What a larger share of the rows says is a greeting or an ending.
_COMMON_SENTENCE = 0.01
_TRIES = 20


def kind_of(rows: Sequence[Row]) -> Kind:
    """What the rows' ground truths are.

    Returns:
        `reference`: short reference answers to compare with. `context`: texts that the output must
        be faithful to. `form`: most rows have no ground truth, so that only the form of the output
        can be changed without a change of the label.
    """
    truths = [row.interaction.ground_truth or "" for row in rows]
    lengths = [len(truth.split()) for truth in truths if truth.strip()]
    if 2 * len(lengths) <= len(truths):
        return "form"
    return "reference" if median(lengths) <= _MOST_REFERENCE_WORDS else "context"


def separator_of(rows: Sequence[Row]) -> str:
    """What separates alternative reference answers in these rows; empty where nothing does."""
    truths = [row.interaction.ground_truth or "" for row in rows]
    for separator in _SEPARATORS:
        if sum(separator in truth for truth in truths) >= _FEWEST_SEPARATED * len(truths) > 0:
            return separator
    return ""


@dataclass(frozen=True)
class Pool:
    """Rows to take pieces from.

    Attributes:
        rows: The rows.
        kind: What their ground truths are.
        separator: What separates alternatives in a reference answer; empty where nothing does.
        ground_truths: All of the rows'.
    """

    rows: Sequence[Row]
    kind: Kind
    separator: str = ""
    ground_truths: Sequence[str] = ()
    _bad: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _uses: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls, rows: Sequence[Row], *, kind: Kind | None = None, separator: str | None = None
    ) -> Pool:
        """A pool of rows; kind and separator are read off the rows where they are None."""
        kind = kind or kind_of(rows)
        if separator is None:
            separator = separator_of(rows) if kind == "reference" else ""
        pool = cls(rows, kind, separator, [row.interaction.ground_truth or "" for row in rows])
        for row in rows:
            pool._uses.update(set(texts.sentences(row.interaction.output or "")))
            if not row.good and (row.interaction.output or "").strip():
                pool._bad[row.group].append(row.interaction.output or "")
        return pool

    def truths(self, row: Row) -> list[str]:
        """The row's reference answers, or the sentence of its context that supports the output."""
        truth = (row.interaction.ground_truth or "").strip()
        if not truth:
            return []
        if self.kind == "context":
            # A bad output may be about something else; what answers the question is in the input.
            topic = [row.interaction.output, None if row.good else row.interaction.input]
            return [texts.best_sentence(truth, " ".join(filter(None, topic)))]
        parts = truth.split(self.separator) if self.separator else [truth]
        return [part for each in parts if (part := each.strip())]

    def truth(self, row: Row, generator: random.Random) -> str:
        """One of `truths`; empty without a ground truth."""
        truths = self.truths(row)
        return generator.choice(truths) if truths else ""

    def claim(self, row: Row) -> str:
        """The row's output."""
        return (row.interaction.output or "").strip()

    def wrong(self, row: Row, generator: random.Random) -> str:
        """A wrong answer: the row's output if it is bad, else one that another row offers.

        Outputs of the same group come first. Another group's truth or output is no answer to this
        question, unless it occurs in this row's ground truth.

        Returns:
            An empty text if the rows have none.
        """
        if not row.good:
            return self.claim(row)
        others = [text for text in self._bad.get(row.group, ()) if text != self.claim(row)]
        if others and generator.random() < 0.5:
            return generator.choice(others)
        short = self.kind == "reference" and generator.random() < 0.7
        return self.foreign(row, generator, "truth" if short else "statement")

    def foreign(
        self, row: Row, generator: random.Random, what: Literal["truth", "statement"]
    ) -> str:
        """A truth or statement of another group's that shares little with the row's ground truth.

        Returns:
            An empty text if the rows have none.
        """
        own = row.interaction.ground_truth or ""
        for _ in range(_TRIES):
            other = generator.choice(self.rows)
            if other.group == row.group:
                continue
            text = self.truth(other, generator) if what == "truth" else self.statement(other)
            if text and not _shares(text, own):
                return text
        return ""

    def statement(self, row: Row) -> str:
        """The longest sentence of the row's output that few rows have: no greeting, say.

        Returns:
            An empty text if the rows have none.
        """
        parts = texts.sentences(self.claim(row))
        most = max(1, _COMMON_SENTENCE * len(self.rows))
        return max((part for part in parts if self._uses[part] <= most), key=len, default="")


def _shares(text: str, truth: str) -> bool:
    """Whether one contains the other, or they share their rarer half of words."""
    if texts.contains(truth, text) or texts.contains(text, truth):
        return True
    own = texts.telling_words(text)
    return len(own & set(texts.words(truth))) * 2 > len(own) > 0
