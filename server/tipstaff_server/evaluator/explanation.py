"""Finds the words of an output that lowered its score: without them it would be higher.

The method is occlusion (Zeiler & Fergus 2014, "Visualizing and understanding convolutional
networks"; for words, Li et al. 2016, "Understanding neural networks through representation
erasure"). The run that decided the score is repeated with a few neighbouring words of the output
left out, at many places, and the words are chosen whose absence raises the logit most. A second
round chooses more words in addition to these, since either of two wrong words may be enough for a
low score.

It leaves out several words at a time, not single ones: a wrong fact is rarely one word, and without
half of it the score changes little. `benchmarks/explain.py` checks that this is better than chance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tipstaff.types import Field, Highlight, Interaction
from tipstaff_server.evaluator.windows import Span

if TYPE_CHECKING:
    from tipstaff_server.evaluator.encoding import Encoded

ROUNDS = 2
# Most runs of one explanation, in all rounds together.
MAX_RUNS = 64
# Largest share of the output's words to highlight.
SHARE = 0.2

# Kana and Han have no blanks between words: each sign counts as a word.
_UNBLANKED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNBLANKED}]|[^\s{_UNBLANKED}]+")

# Yields the interactions of a round, is sent the logit of each, and returns the highlights.
Search = Generator[list[Interaction], Sequence[float], tuple[Highlight, ...]]


def search(excerpt: Interaction, *, slope: float = 1.0, start: int = 0) -> Search:
    """Finds the words of an output that lowered its score.

    The same interaction always gets the same highlights: at most `ROUNDS`, together of at most a
    fifth of the words (`SHARE`), after at most `MAX_RUNS` runs.

    Args:
        excerpt: What the run that decides the score reads; see `excerpt_of`.
        slope: The calibration's: a logit times the slope is the log-odds of the score.
        start: Where the excerpt's output starts in the whole output.

    Returns:
        The highlights, in order of the output; only words whose absence raises the score.
    """
    output = excerpt.output or ""
    words = words_of(output)
    most = max(1, round(SHARE * len(words))) if words else 0
    size = math.ceil(most / ROUNDS)
    removed: list[Span] = []  # ranges of words
    highlights: list[Highlight] = []
    logit = -math.inf
    for number in range(ROUNDS):
        used = sum(end - first for first, end in removed)
        # One run of the first round is that of the unchanged excerpt.
        candidates = _candidates(
            len(words), min(size, most - used), removed, MAX_RUNS // ROUNDS - (number == 0)
        )
        if not candidates:
            break
        variants = [_without(output, words, [*removed, span]) for span in candidates]
        texts = variants if number else [output, *variants]
        logits = yield [replace(excerpt, output=text) for text in texts]
        if not number:
            logit, *logits = logits
        best = max(range(len(candidates)), key=lambda index: logits[index])
        if logits[best] <= logit:
            break
        first, end = candidates[best]
        weight = slope * (logits[best] - logit)
        highlights.append(Highlight(start + words[first][0], start + words[end - 1][1], weight))
        removed.append(candidates[best])
        logit = logits[best]
    return tuple(sorted(highlights, key=lambda highlight: highlight.start))


def excerpt_of(
    interaction: Interaction, encoded: Encoded, logits: Sequence[float]
) -> tuple[Interaction, int]:
    """What the run that decides a score reads, and where its output starts in the whole output.

    Args:
        interaction: The interaction that was scored.
        encoded: The encoded interaction.
        logits: One for each of its runs, shape (runs,).
    """
    spans = encoded.excerpts[encoded.deciding_run(logits)]
    return Interaction(**_excerpts(interaction, spans)), spans["output"][0]


def words_of(text: str) -> list[Span]:
    """Where each word starts and ends, attached punctuation included."""
    return [match.span() for match in _WORD.finditer(text)]


def without(text: str, spans: Sequence[Span]) -> str:
    """A text without some spans, which don't overlap, and without the blanks after each."""
    parts, last = [], 0
    for start, end in sorted(spans):
        parts.append(text[last:start])
        last = end + len(text[end:]) - len(text[end:].lstrip())
    return "".join([*parts, text[last:]])


def _without(text: str, words: Sequence[Span], removed: Sequence[Span]) -> str:
    return without(text, [(words[first][0], words[end - 1][1]) for first, end in removed])


def _candidates(count: int, size: int, removed: Sequence[Span], most: int) -> list[Span]:
    """At most `most` ranges of `size` words out of `count`, evenly spread, none of them removed."""
    if size < 1:
        return []
    firsts: list[int] = []
    free = 0
    for start, end in [*sorted(removed), (count, count)]:
        firsts += range(free, start - size + 1)
        free = end
    if len(firsts) > most:
        firsts = [firsts[index * (len(firsts) - 1) // (most - 1)] for index in range(most)]
    return [(first, first + size) for first in firsts]


def _excerpts(interaction: Interaction, spans: Mapping[Field, Span]) -> dict[str, str | None]:
    texts = {name: interaction.get(name) for name in spans}
    return {name: text and text[slice(*spans[name])] for name, text in texts.items()}
