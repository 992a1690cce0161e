"""A row about to be rewritten, with the pieces that a rewriting may take."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tipstaff_trainer.data import Row
from tipstaff_trainer.probes import exchange
from tipstaff_trainer.probes.forms import Composer
from tipstaff_trainer.probes.kinds import Kind
from tipstaff_trainer.probes.pool import Pool
from tipstaff_trainer.probes.wordings import Half, wordings

EXCHANGES: Mapping[str, exchange.Exchange] = {
    "number": exchange.number,
    "name": exchange.name,
    "unit": exchange.unit,
    "date": exchange.date,
    "negation": exchange.negation,
    "quantifier": exchange.quantifier,
}


@dataclass(frozen=True)
class Draft:
    """One row about to be rewritten.

    Attributes:
        row: The row.
        pool: Where wrong answers come from.
        half: Whose wordings are used.
        generator: Draws everything.
    """

    row: Row
    pool: Pool
    half: Half
    generator: random.Random

    @property
    def compose(self) -> Composer:
        """Composes with this row's generator."""
        return Composer(wordings(self.half), self.generator)

    @property
    def kind(self) -> Kind:
        """What the row's ground truth is."""
        return self.pool.kinds.of(self.row)

    @property
    def output(self) -> str:
        """The row's output, without white space around it."""
        return self.pool.claim(self.row)

    @property
    def question(self) -> str:
        """The row's input without its question mark; empty if the row has no input."""
        return (self.row.interaction.input or "").strip().rstrip("?. ")

    @property
    def answerable(self) -> bool:
        """Whether `truth` surely answers: a context's sentence does if a good output shares it."""
        return self.row.good or self.kind == "reference"

    def truth(self) -> str:
        """A reference answer or the supporting sentence; empty without a ground truth."""
        return self.pool.truth(self.row, self.generator)

    def wrong(self) -> str:
        """A wrong answer; empty if the rows have none."""
        return self.pool.wrong(self.row, self.generator)

    def false(self) -> str:
        """The supporting sentence with a piece exchanged; empty if no piece can be exchanged.

        The context contradicts it. With another name it may just not say, so names stay.
        """
        truth = self.truth()
        changes = [each for name, each in EXCHANGES.items() if name != "name"]
        for change in self.generator.sample(changes, len(changes)):
            others = self.pool.ground_truths
            if truth and (text := change(truth, truth, self.generator, others)):
                return text
        return ""

    def foreign(self) -> str:
        """A statement from another group; empty if none fits."""
        return self.pool.foreign(self.row, self.generator, "statement")

    def right(self) -> str:
        """A right answer: the output of a good row, or the truth."""
        return self.output if self.row.good and self.generator.random() < 0.5 else self.truth()

    def supporting(self) -> str:
        """What the output is compared with, as one text."""
        return " / ".join(self.pool.truths(self.row))
