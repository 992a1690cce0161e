"""The named rewritings: what each does to an output, and what that does to the label.

Effects: a rewriting that `breaks` gives a bad output whatever it was before, one that `keeps`
leaves the label, and one that `mends` gives a good output. Each is stated for the kinds of ground
truth (`kinds.Kind`) that it is listed with, and for good rows, bad rows or both.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from tipstaff_trainer.data import Row
from tipstaff_trainer.probes import changes, surface, texts
from tipstaff_trainer.probes.draft import EXCHANGES, Draft
from tipstaff_trainer.probes.kinds import Kind, Kinds
from tipstaff_trainer.probes.pool import Pool
from tipstaff_trainer.probes.wordings import Half

Effect = Literal["breaks", "keeps", "mends"]
Rows = Literal["good", "bad", "all"]
Apply = Callable[[Draft], str | None]

_JUDGED: tuple[Kind, ...] = ("reference", "context")
_ANY: tuple[Kind, ...] = (*_JUDGED, "form")


@dataclass(frozen=True)
class Rewriting:
    """A change of an output with a known effect on the label.

    Attributes:
        name: Its name, a-z and hyphens.
        effect: What it does to the label.
        says: The change in words.
        apply: Gives the new output, or None where the rewriting doesn't apply to a row.
        kinds: The kinds of ground truth for which the effect holds.
        rows: The rows that it is applied to.
        share: How often it is drawn for training rows, relative to the others; 0 for never.
        mirror: The name of the rewriting that swaps the pieces of the same form. Training gets
            both at times: they differ in nothing but which piece is asserted.
    """

    name: str
    effect: Effect
    says: str
    apply: Apply
    kinds: tuple[Kind, ...] = _JUDGED
    rows: Rows = "all"
    share: float = 1.0
    mirror: str = ""

    @property
    def keeps_any(self) -> bool:
        """Whether it leaves the label of good and bad rows alike: another form of the same."""
        return self.effect == "keeps" and self.rows == "all"

    def suits(self, kinds: Kinds) -> bool:
        """Whether it is meant for any rows of such kinds."""
        return any(kind in self.kinds for kind in kinds.all)

    def fits(self, row: Row, kind: Kind) -> bool:
        """Whether it is meant for such a row at all."""
        wanted = self.rows == "all" or (self.rows == "good") is row.good
        return kind in self.kinds and wanted and bool((row.interaction.output or "").strip())

    def rewrite(self, row: Row, pool: Pool, half: Half, generator: random.Random) -> str | None:
        """The row's new output; None where the rewriting doesn't apply, or changes nothing."""
        if not self.fits(row, pool.kinds.of(row)):
            return None
        text = self.apply(Draft(row, pool, half, generator))
        return None if not text or text == row.interaction.output else text

    def label(self, before: float) -> float:
        """The rewritten row's label."""
        return {"breaks": 0.0, "keeps": before, "mends": 1.0}[self.effect]


REWRITINGS: tuple[Rewriting, ...] = (
    Rewriting("negated-truth", "breaks", "the truth is denied", changes.negated_truth, share=5),
    Rewriting(
        "denied-then-wrong",
        "breaks",
        "the truth is denied, then a wrong answer given",
        partial(changes.pair, method="denied_first", right=False),
        share=6,
        mirror="denied-then-right",
    ),
    Rewriting(
        "wrong-then-denied",
        "breaks",
        "a wrong answer is given, then the truth denied",
        partial(changes.pair, method="denied_last", right=False),
        share=6,
        mirror="right-then-denied",
    ),
    Rewriting(
        "contrasted-wrong",
        "breaks",
        "one sentence prefers a wrong answer to the truth",
        partial(changes.pair, method="contrast", right=False),
        share=6,
        mirror="contrasted-right",
    ),
    Rewriting("echoed-wrong", "breaks", "the question, then a wrong answer", changes.echoed_wrong),
    Rewriting(
        "echoed-denied",
        "breaks",
        "the question, then the truth denied",
        changes.echoed_denied,
        share=2,
    ),
    Rewriting(
        "question-alone",
        "breaks",
        "the question in place of an answer",
        changes.question_alone,
        share=0.5,
    ),
    Rewriting(
        "truth-beside-wrong",
        "breaks",
        "the ground truth pasted beside a wrong claim",
        lambda it: changes.beside(it, it.wrong()),
        share=8,
    ),
    Rewriting("off-topic", "breaks", "an answer to another question", changes.off_topic, share=0.5),
    Rewriting(
        "unsupported-added",
        "breaks",
        "a sentence added that the context doesn't support",
        changes.unsupported,
        ("context",),
        "good",
        share=2,
    ),
    *(
        Rewriting(
            f"{name}-exchanged",
            "breaks",
            f"another {name} in a good output",
            partial(changes.exchanged, change=change),
            rows="good",
            share=2.5,
        )
        for name, change in EXCHANGES.items()
    ),
    # A bad row's question may have no answer, so that a refusal is right.
    Rewriting(
        "refusal",
        "breaks",
        "a refusal of what is known",
        lambda it: it.compose.pick("refusals"),
        rows="good",
        share=0.7,
    ),
    Rewriting(
        "empty-talk", "breaks", "empty talk", lambda it: it.compose.pick("empty_talk"), share=0.7
    ),
    Rewriting(
        "greeting",
        "keeps",
        "a greeting before it",
        partial(changes.greeted, start=True, end=False),
        _ANY,
    ),
    Rewriting(
        "polite-ending",
        "keeps",
        "a polite ending after it",
        partial(changes.greeted, start=False, end=True),
        _ANY,
    ),
    Rewriting(
        "greeting-and-ending",
        "keeps",
        "a greeting and a polite ending",
        partial(changes.greeted, start=True, end=True),
        _ANY,
        share=2,
    ),
    Rewriting(
        "lower-case",
        "keeps",
        "no capitals",
        lambda it: surface.lower_case(it.output),
        _ANY,
        share=0.3,
    ),
    Rewriting(
        "typos",
        "keeps",
        "typing errors",
        changes.mistyped,
        _ANY,
    ),
    Rewriting(
        "look-alikes",
        "keeps",
        "Cyrillic letters that look the same",
        lambda it: surface.look_alikes(it.output, it.generator),
        _ANY,
        share=0,  # they are read as Latin ones
    ),
    Rewriting(
        "list",
        "keeps",
        "sentences as a list",
        lambda it: surface.as_list(it.output, it.generator),
        _ANY,
    ),
    Rewriting(
        "markdown",
        "keeps",
        "Markdown around it",
        lambda it: texts.fill(it.compose.pick("markdown"), it.output),
        _ANY,
    ),
    Rewriting(
        "reordered",
        "keeps",
        "sentences in another order",
        lambda it: surface.reordered(it.output, it.generator),
        share=0.5,
    ),
    Rewriting("hedged", "keeps", "a hedge or an assurance", changes.hedged),
    Rewriting(
        "echoed-right",
        "keeps",
        "the question before a good output",
        lambda it: changes.echoed(it, it.output),
        rows="good",
        share=4,
    ),
    Rewriting(
        "truth-beside-right",
        "keeps",
        "the ground truth pasted beside a good output",
        lambda it: changes.beside(it, it.output),
        rows="good",
        share=5,
    ),
    Rewriting("truth-stated", "mends", "the truth is stated", changes.true_sentence, share=5),
    *(
        Rewriting(name, "mends", says, partial(changes.pair, method=method, right=True), share=0)
        for name, says, method in (
            ("denied-then-right", "a wrong answer is denied, then the truth given", "denied_first"),
            ("right-then-denied", "the truth is given, then a wrong answer denied", "denied_last"),
            ("contrasted-right", "one sentence prefers the truth to a wrong answer", "contrast"),
        )
    ),
)
