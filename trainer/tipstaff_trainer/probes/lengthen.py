"""Rows whose ground truth stands among passages of other rows, as in an app that retrieves many."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from tipstaff_server.evaluator.windows import rarities
from tipstaff_trainer.data import Row
from tipstaff_trainer.probes import texts

# Words of a lengthened ground truth. Evenly on a logarithmic scale: most are one to four windows.
_FEWEST_WORDS = 60
_MOST_WORDS = 600
# How many of the passages are near in wording, rather than drawn at random.
_NEAR = 0.5
# Passages that are drawn to choose a near one from.
_CANDIDATES = 12
# Most draws for a passage: most of them may say what the output says.
_TRIES = 40
# Documents are parted by blank lines; other apps join them.
_SEPARATORS = ("\n\n", "\n", " ")


@dataclass(frozen=True)
class _Passage:
    text: str
    groups: frozenset[str]
    words: frozenset[str]
    length: int


class Passages:
    """The ground truths of rows, to lengthen others with."""

    def __init__(self, rows: Sequence[Row]) -> None:
        groups: dict[str, set[str]] = {}
        for row in rows:
            if text := (row.interaction.ground_truth or "").strip():
                groups.setdefault(text, set()).add(row.group)
        self._passages = [
            _Passage(text, frozenset(of), frozenset(texts.telling_words(text)), len(text.split()))
            for text, of in groups.items()
        ]
        self._weights = rarities([each.words for each in self._passages])

    def lengthen(self, row: Row, generator: random.Random) -> Row | None:
        """The row with its ground truth at some place among others.

        Half of them are near to the row in wording. None of them says what the output says, as far
        as words tell, and none is of the row's group: so the label stays.

        Args:
            row: A row with a ground truth.
            generator: Draws everything.

        Returns:
            None where the ground truth is long already, or no passage is suitable.
        """
        own = (row.interaction.ground_truth or "").strip()
        bounds = math.log(_FEWEST_WORDS), math.log(_MOST_WORDS)
        missing = math.exp(generator.uniform(*bounds)) - len(own.split())
        if not own or missing <= 0:
            return None
        output = texts.telling_words(row.interaction.output or "")
        topic = output | texts.telling_words(row.interaction.input or "") | texts.telling_words(own)
        chosen: list[str] = []
        for _ in range(_TRIES):
            count = _CANDIDATES if generator.random() < _NEAR else 1
            drawn = generator.sample(self._passages, min(count, len(self._passages)))
            suitable = [
                each
                for each in drawn
                if row.group not in each.groups and not self._may_support(each.words, output)
            ]
            if not suitable:
                continue
            nearest = max(suitable, key=lambda each: len(each.words & topic) / (9 + each.length))
            chosen.append(nearest.text)
            missing -= nearest.length
            if missing <= 0:
                break
        if not chosen:
            return None
        chosen.insert(generator.randint(0, len(chosen)), own)
        text = generator.choice(_SEPARATORS).join(chosen)
        interaction = replace(row.interaction, ground_truth=text)
        return replace(row, interaction=interaction, id=f"{row.id}~lengthened")

    def _may_support(self, passage: Set[str], output: Set[str]) -> bool:
        """Whether a passage has half of the output's words, the rarer the heavier."""
        # Words that no passage has can't be found; they say nothing about this one.
        weights = {word: self._weights[word] for word in output if word in self._weights}
        found = math.fsum(weight for word, weight in weights.items() if word in passage)
        return found > 0 and 2 * found >= math.fsum(weights.values())
