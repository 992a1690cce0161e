"""The evidence for the sentences of an output, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tipstaff.types import Contradiction, Interaction, SentenceEvidence

_LONGEST = 120


def evidence_in_words(
    interaction: Interaction, evidence: Sequence[SentenceEvidence]
) -> Iterable[str]:
    """Lines that tell each sentence's score, what supports it, and what contradicts it."""
    output, truth = interaction.output or "", interaction.ground_truth or ""
    for each in evidence:
        yield f"  sentence   {each.score:.3f}  {shortened(output[each.start : each.end])}"
        if each.passage is None:
            yield "    no passage has its words"
        else:
            yield f"    beside   {shortened(truth[each.passage.start : each.passage.end])}"
        for contradiction in each.contradictions:
            yield f"    against  {contradiction_in_words(contradiction, output, truth)}"


def contradiction_in_words(contradiction: Contradiction, output: str, truth: str) -> str:
    """A contradiction, as `number: “900” for “30” (0.95)`."""
    kind = contradiction.kind.lower()
    said = shortened(output[contradiction.start : contradiction.end])
    if contradiction.truth_start is None:
        return f"{kind}: “{said}” is not there ({contradiction.strength:.2f})"
    there = shortened(truth[contradiction.truth_start : contradiction.truth_end])
    return f"{kind}: “{said}” for “{there}” ({contradiction.strength:.2f})"


def shortened(text: str) -> str:
    """The beginning of a text, on one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def printable(text: str) -> str:
    """Replaces control characters, which could steer a terminal."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)
