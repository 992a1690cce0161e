"""Puts sentences, passages and contradictions together, with the evaluator's score of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tipstaff.types import Contradiction, Interaction, Passage, SentenceEvidence
from tipstaff_server.evaluator.layout import Checkpoint, go_on
from tipstaff_server.evaluator.support.contradictions import contradictions_of
from tipstaff_server.evaluator.support.passages import Match, Passages, stems_of
from tipstaff_server.evaluator.support.sentences import sentences_of
from tipstaff_server.evaluator.windows import Span

# Most sentences with evidence of their own: in longer outputs, neighbouring ones share it.
MAX_SENTENCES: Final = 32
# The score of a sentence that nothing supports or contradicts: a contradicted one has less.
_FLOOR: Final = 0.25
# Numbers and names, and the word that begins a sentence with them.
_NO_COMMON_WORD: Final = re.compile(r"\b[A-Z0-9]\w*")
# Passages that may hold a sentence's facts beside the best one.
_PASSAGES: Final = 3


@dataclass(frozen=True, slots=True)
class Support:
    """What supports the sentences of an output, before the evaluator has scored them.

    Attributes:
        sentences: Where each sentence starts and ends in the output.
        passages: The passage that supports each best; None where none has any of its words.
        contradictions: What of each sentence differs from that passage.
        variants: What the evaluator reads to score each: the sentence alone, with the part of the
            ground truth around the passage.
    """

    sentences: tuple[Span, ...]
    passages: tuple[Passage | None, ...]
    contradictions: tuple[tuple[Contradiction, ...], ...]
    variants: tuple[Interaction, ...]

    def evidence(self, scores: Sequence[float]) -> tuple[SentenceEvidence, ...]:
        """The evidence, given the evaluator's score of each variant.

        A sentence's score is the evaluator's, lowered by what contradicts the sentence: a small
        encoder reads sentences well and overlooks a changed number.
        """
        return tuple(
            SentenceEvidence(
                start=start,
                end=end,
                score=(_FLOOR + (1 - _FLOOR) * score) * (1 - _strength(contradictions)),
                evaluator_score=score,
                passage=passage,
                contradictions=contradictions,
            )
            for (start, end), passage, contradictions, score in zip(
                self.sentences, self.passages, self.contradictions, scores, strict=True
            )
        )


def find_support(interaction: Interaction, *, room: int, checkpoint: Checkpoint = go_on) -> Support:
    """Finds what supports each sentence of an output.

    The time is linear in the text.

    Args:
        interaction: The interaction; without an output, nothing is found.
        room: Most characters of ground truth that the evaluator reads with a sentence.
        checkpoint: Called between steps; may raise, to stop here.
    """
    output, truth = interaction.output or "", interaction.ground_truth or ""
    sentences = tuple(_grouped(sentences_of(output)))
    checkpoint()
    passages = Passages(truth, sentences_of(truth), checkpoint)
    best: list[Passage | None] = []
    differences: list[tuple[Contradiction, ...]] = []
    variants: list[Interaction] = []
    for start, end in sentences:
        sentence = output[start:end]
        stems = stems_of(sentence)
        matches = passages.best(stems, _PASSAGES)
        passage, different = _compare(sentence, start, passages, matches, stems)
        best.append(passage)
        differences.append(different)
        excerpt = _excerpt(interaction.ground_truth, passages, matches, room)
        variants.append(Interaction(interaction.input, sentence, excerpt))
        checkpoint()
    return Support(sentences, tuple(best), tuple(differences), tuple(variants))


def _compare(
    sentence: str,
    start: int,
    passages: Passages,
    matches: Sequence[Match],
    stems: Sequence[str],
) -> tuple[Passage | None, tuple[Contradiction, ...]]:
    if not matches:
        return None, ()
    texts = [passages.text[slice(*passages.spans[each])] for each in _around(passages, matches)]
    first = matches[0].index
    at, end = passages.spans[first]
    share = passages.share(stems, [first])
    different = contradictions_of(
        sentence,
        passages.text[at:end],
        texts,
        agreement=_agreement(sentence, passages, first, share),
        known=passages.stems,
        start=start,
        at=at,
    )
    return Passage(at, end, share), tuple(different)


def _agreement(sentence: str, passages: Passages, index: int, share: float) -> float:
    """The share of a sentence's common words that a passage has; of all words if none is common."""
    common = stems_of(_NO_COMMON_WORD.sub(" ", sentence))
    return passages.share(common, [index]) if common else share


def _strength(contradictions: Sequence[Contradiction]) -> float:
    """That of the strongest: several missing names are one paraphrase more often than lies."""
    return max((each.strength for each in contradictions), default=0.0)


def _around(passages: Passages, matches: Sequence[Match]) -> list[int]:
    """The matches, and the best one's neighbours."""
    first = matches[0].index
    places = {first - 1, first + 1, *(each.index for each in matches)} - {first}
    return sorted(place for place in places if 0 <= place < len(passages.spans))


def _excerpt(
    truth: str | None, passages: Passages, matches: Sequence[Match], room: int
) -> str | None:
    """The ground truth, or the part of it around the best passage that there is room for."""
    if truth is None or len(truth) <= room or not passages.spans:
        return truth
    first = last = matches[0].index if matches else 0
    start, end = passages.spans[first]
    # Whole passages, in turn before and after.
    grown = True
    while grown:
        grown = False
        if last + 1 < len(passages.spans) and passages.spans[last + 1][1] - start <= room:
            last += 1
            end, grown = passages.spans[last][1], True
        if first > 0 and end - passages.spans[first - 1][0] <= room:
            first -= 1
            start, grown = passages.spans[first][0], True
    return truth[start:end]


def _grouped(sentences: Sequence[Span]) -> list[Span]:
    """At most `MAX_SENTENCES` spans that hold all of the sentences."""
    size = -(-len(sentences) // MAX_SENTENCES) or 1
    groups = [sentences[first : first + size] for first in range(0, len(sentences), size)]
    return [(group[0][0], group[-1][1]) for group in groups]
