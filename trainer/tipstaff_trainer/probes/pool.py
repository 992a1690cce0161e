"""What a rewriting needs besides the row: its reference answers, and wrong answers to it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tipstaff_trainer.data import Row
from tipstaff_trainer.probes import texts
from tipstaff_trainer.probes.kinds import Kind, Kinds, kinds_of

_SEPARATORS = (" | ", "|", " / ", "/", ";")
# Alternatives are in many ground truths of a file, a slash as in "km/h" only in a few.
_FEWEST_SEPARATED = 0.1
# What a larger share of the rows says is a greeting or an ending.
_COMMON_SENTENCE = 0.01
_TRIES = 20


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
        kinds: What their ground truths are.
        separator: What separates alternatives in a reference answer; empty where nothing does.
        ground_truths: All of the rows'.
    """

    rows: Sequence[Row]
    kinds: Kinds
    separator: str = ""
    ground_truths: Sequence[str] = ()
    _bad: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _uses: Counter[str] = field(default_factory=Counter)
    _by_kind: dict[Kind, list[Row]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(
        cls, rows: Sequence[Row], *, kind: Kind | None = None, separator: str | None = None
    ) -> Pool:
        """A pool of rows; kind and separator are read off the rows where they are None."""
        kinds = kinds_of(rows) if kind is None else Kinds(kind)
        if separator is None:
            separator = separator_of([row for row in rows if kinds.of(row) == "reference"])
        pool = cls(rows, kinds, separator, [row.interaction.ground_truth or "" for row in rows])
        for row in rows:
            pool._by_kind[kinds.of(row)].append(row)
            pool._uses.update(set(texts.sentences(row.interaction.output or "")))
            if not row.good and (row.interaction.output or "").strip():
                pool._bad[row.group].append(row.interaction.output or "")
        return pool

    def of_kind(self, kind: Kind) -> Sequence[Row]:
        """Its rows of a kind."""
        return self._by_kind.get(kind, ())

    def truths(self, row: Row) -> list[str]:
        """The row's reference answers, or the sentence of its context that supports the output."""
        truth = (row.interaction.ground_truth or "").strip()
        if not truth:
            return []
        if self.kinds.of(row) == "context":
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
        short = self.kinds.of(row) == "reference" and generator.random() < 0.7
        return self.foreign(row, generator, "truth" if short else "statement")

    def foreign(
        self, row: Row, generator: random.Random, what: Literal["truth", "statement"]
    ) -> str:
        """A truth or statement of another group's that shares little with the row's ground truth.

        The other row is of the same kind: its statement is as long as an answer here may be.

        Returns:
            An empty text if the rows have none.
        """
        own, rows = row.interaction.ground_truth or "", self.of_kind(self.kinds.of(row))
        for _ in range(_TRIES if rows else 0):
            other = generator.choice(rows)
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
