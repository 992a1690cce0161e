"""The evidence of sentences, in words."""

from __future__ import annotations

from tipstaff.cli.evidence import evidence_in_words
from tipstaff.types import (
    Contradiction,
    ContradictionKind,
    Interaction,
    Passage,
    SentenceEvidence,
)

OUTPUT = "Paid within 900 days.\x1b[2J Free."
TRUTH = "Paid within 30 days."


def test_each_sentence_tells_its_passage_and_what_contradicts_it():
    evidence = (
        SentenceEvidence(
            0,
            21,
            0.0321,
            0.9,
            Passage(0, 20, 0.8),
            (
                Contradiction(ContradictionKind.NUMBER, 12, 15, 12, 14, 0.95),
                Contradiction(ContradictionKind.NAME, 0, 4, None, None, 0.4),
            ),
        ),
        SentenceEvidence(21, len(OUTPUT), 0.4, 0.4),
    )
    assert list(evidence_in_words(Interaction(None, OUTPUT, TRUTH), evidence)) == [
        "  sentence   0.032  Paid within 900 days.",
        "    beside   Paid within 30 days.",
        "    against  number: “900” for “30” (0.95)",
        "    against  name: “Paid” is not there (0.40)",
        "  sentence   0.400  \ufffd[2J Free.",
        "    no passage has its words",
    ]


def test_long_texts_are_shortened_to_a_line():
    text = "word\n" * 100
    evidence = [SentenceEvidence(0, len(text), 0.5, 0.5, Passage(0, len(text), 1.0))]
    for line in evidence_in_words(Interaction(None, text, text), evidence):
        assert line.endswith("…")
        assert len(line) < 150
