"""Which words of an output lowered its score: those without which it would be higher.

Occlusion (Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks"; of words,
Li et al. 2016, "Understanding neural networks through representation erasure"): the run that
decided the score is run again with some neighbouring words of the output left out, all over the
output, and those whose absence raises the logit most are found. A second round finds what raises it
most beside them, since either of two wrong words may be enough for a low score.

Windows of a few words, not single ones: a wrong fact is rarely one word, and leaving out half of it
changes little. `benchmarks/explain.py` checks that this finds more than chance does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tipstaff.types import Field, Highlight, Interaction
from tipstaff_server.evaluator.windows import Span, deciding_run_index

if TYPE_CHECKING:
    from tipstaff_server.evaluator.encoding import Encoded

ROUNDS = 2
# Of one explanation, all rounds together.
MAX_RUNS = 64
# Of the output's words, highlighted at most.
SHARE = 0.2

# Scripts without blanks between words go sign by sign: kana and Han.
_UNBLANKED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNBLANKED}]|[^\s{_UNBLANKED}]+")

# Yields the interactions of a round, is sent the logit of each, and returns what it found.
Search = Generator[list[Interaction], Sequence[float], tuple[Highlight, ...]]


def search(excerpt: Interaction, *, slope: float = 1.0, start: int = 0) -> Search:
    """Finds the words of an output that lowered its score.

    The same interaction gets the same highlights: at most `ROUNDS`, of a fifth of the words
    together (`SHARE`), after at most `MAX_RUNS` runs.

    Args:
        excerpt: What the run that decides the score reads; see `excerpt_of`.
        slope: Of the calibration: a logit times this is log-odds of the score.
        start: Where its output starts in the whole output.

    Returns:
        What was found, in order of the output; nothing that doesn't raise the score.
    """
    output = excerpt.output or ""
    words = words_of(output)
    most = max(1, round(SHARE * len(words))) if words else 0
    size = math.ceil(most / ROUNDS)
    gone: list[Span] = []  # by words
    found: list[Highlight] = []
    logit = -math.inf
    for number in range(ROUNDS):
        taken = sum(end - first for first, end in gone)
        # The run of the excerpt as it stands is one of the first round.
        tried = _candidates(
            len(words), min(size, most - taken), gone, MAX_RUNS // ROUNDS - (number == 0)
        )
        if not tried:
            break
        asked = [_without(output, words, [*gone, span]) for span in tried]
        texts = asked if number else [output, *asked]
        logits = yield [replace(excerpt, output=text) for text in texts]
        if not number:
            logit, *logits = logits
        best = max(range(len(tried)), key=lambda index: logits[index])
        if logits[best] <= logit:
            break
        first, end = tried[best]
        weight = slope * (logits[best] - logit)
        found.append(Highlight(start + words[first][0], start + words[end - 1][1], weight))
        gone.append(tried[best])
        logit = logits[best]
    return tuple(sorted(found, key=lambda highlight: highlight.start))


def excerpt_of(
    interaction: Interaction, encoded: Encoded, logits: Sequence[float]
) -> tuple[Interaction, int]:
    """What the run that decides a score reads, and where its output starts in the whole output.

    Args:
        interaction: What was scored.
        encoded: As what.
        logits: Of its runs, shape (runs,).
    """
    read = encoded.excerpts[deciding_run_index(logits, encoded.parts)]
    return Interaction(**_read(interaction, read)), read["output"][0]


def words_of(text: str) -> list[Span]:
    """Where each word starts and ends, with the marks that stick to it."""
    return [match.span() for match in _WORD.finditer(text)]


def without(text: str, spans: Sequence[Span]) -> str:
    """A text without some parts of it, which don't overlap, and the blanks after each."""
    kept, last = [], 0
    for start, end in sorted(spans):
        kept.append(text[last:start])
        last = end + len(text[end:]) - len(text[end:].lstrip())
    return "".join([*kept, text[last:]])


def _without(text: str, words: Sequence[Span], gone: Sequence[Span]) -> str:
    return without(text, [(words[first][0], words[end - 1][1]) for first, end in gone])


def _candidates(count: int, size: int, gone: Sequence[Span], most: int) -> list[Span]:
    """Windows of so many of `count` words, clear of those gone; evenly spread if there are more."""
    if size < 1:
        return []
    clear = [
        (first, first + size)
        for first in range(count - size + 1)
        if all(first >= end or first + size <= start for start, end in gone)
    ]
    if len(clear) <= most:
        return clear
    return [clear[index * (len(clear) - 1) // (most - 1)] for index in range(most)]


def _read(interaction: Interaction, spans: Mapping[Field, Span]) -> dict[str, str | None]:
    texts = {name: interaction.get(name) for name in spans}
    return {name: text and text[slice(*spans[name])] for name, text in texts.items()}
