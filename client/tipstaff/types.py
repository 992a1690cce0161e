"""Tipstaff's values: what is scored, and what comes back.

Plain dataclasses without protobuf, so that an application can build, log and compare them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from tipstaff.errors import ScoringError

Field = Literal["input", "output", "ground_truth"]
FIELDS: tuple[Field, ...] = ("input", "output", "ground_truth")
OnFailure = Literal["raise", "open", "closed"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One exchange to judge. Any field may be absent, but not all three.

    Attributes:
        input: What the application was asked.
        output: What it answered: the text being judged.
        ground_truth: What is known to be true: a reference answer, passages, a policy.
    """

    input: str | None = None
    output: str | None = None
    ground_truth: str | None = None

    def get(self, name: Field) -> str | None:
        """The text of one field by its name."""
        return getattr(self, name)  # type: ignore[no-any-return]


class Verdict(StrEnum):
    """What to do with the output."""

    PASS = "PASS"
    REVIEW = "REVIEW"
    BLOCK = "BLOCK"


class Reason(StrEnum):
    """What a reader should know about a score; `scoring.proto` explains each."""

    PARTIAL = "PARTIAL"
    OUT_OF_DISTRIBUTION = "OUT_OF_DISTRIBUTION"
    UNCERTIFIED = "UNCERTIFIED"
    DEGRADED = "DEGRADED"
    MISSING_FIELD = "MISSING_FIELD"
    IGNORED_FIELD = "IGNORED_FIELD"
    NOT_EXPLAINED = "NOT_EXPLAINED"
    UNREADABLE = "UNREADABLE"
    NOT_CALIBRATED = "NOT_CALIBRATED"
    NOT_LEARNT = "NOT_LEARNT"
    # Never on the wire: a newer server sent a reason or verdict that this client doesn't know.
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of one field was scored.

    Attributes:
        scored: Tokens scored. If the output was read in several windows that were compared with
            different parts of the ground truth, those of the ground truth are their mean.
        total: Tokens of the field.
        unknown: Tokens of it that stand for words which the encoder doesn't know.
        dropped: Characters of it that the encoder never sees, such as zero-width ones; accents that
            it strips don't count.
        unread: Share of its characters that were dropped or are in unknown words, in [0, 1].
            Blanks don't count. `Reason.UNREADABLE` tells whether it is above the evaluator's limit.
    """

    scored: int
    total: int
    unknown: int = 0
    dropped: int = 0
    unread: float = 0.0

    @property
    def partial(self) -> bool:
        """Whether some of the field was left out."""
        return self.scored < self.total


@dataclass(frozen=True, slots=True)
class Certificate:
    """A statistical guarantee on the thresholds.

    Attributes:
        max_false_pass: With `confidence`, P(PASS | bad) is at most this.
        max_false_block: With `confidence`, P(BLOCK | good) is at most this.
        confidence: In (0, 1).
        n: Number of human-labelled interactions that it rests on.
        date: The day it was made, as YYYY-MM-DD.
    """

    max_false_pass: float
    max_false_block: float
    confidence: float
    n: int
    date: str


@dataclass(frozen=True, slots=True)
class Highlight:
    """Words of the output that lowered the score.

    Attributes:
        start: Where they start: the words are `output[start:end]`.
        end: Where they end.
        weight: By how much the log-odds of the score, ln(score / (1 - score)), rise without them;
            above 0.
    """

    start: int
    end: int
    weight: float


class ContradictionKind(StrEnum):
    """What differs between a sentence and the passage that supports it best."""

    NUMBER = "NUMBER"
    NAME = "NAME"
    UNIT = "UNIT"
    NEGATION = "NEGATION"
    # Never on the wire: a newer server sent a kind that this client doesn't know.
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Passage:
    """The part of the ground truth that supports a sentence best.

    Attributes:
        start: Where it starts: the passage is `ground_truth[start:end]`.
        end: Where it ends.
        share: Share of the sentence's words that it has, rare words weighing more; in [0, 1].
    """

    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A piece of a sentence that differs from the passage that supports the sentence best.

    Attributes:
        kind: What differs.
        start: Where the piece starts: it is `output[start:end]`. A negation that only the passage
            has contradicts the whole sentence.
        end: Where it ends.
        truth_start: Where what stands in its place starts: that is
            `ground_truth[truth_start:truth_end]`. None where the ground truth near the passage has
            nothing in its place.
        truth_end: Where that ends; None together with `truth_start`.
        strength: How sure it is to be a contradiction rather than a paraphrase, in (0, 1).
    """

    kind: ContradictionKind
    start: int
    end: int
    truth_start: int | None = None
    truth_end: int | None = None
    strength: float = 0.0


@dataclass(frozen=True, slots=True)
class SentenceEvidence:
    """What supports one sentence of the output, and what contradicts it.

    Attributes:
        start: Where the sentence starts: it is `output[start:end]`. In an output of more than 32
            sentences, neighbouring ones share their evidence.
        end: Where it ends.
        score: How well it is supported, in [0, 1]: `evaluator_score`, lowered by the
            contradictions. Compare it with those of the output's other sentences: it is no
            probability.
        evaluator_score: The evaluator's calibrated score of this sentence alone, with the part of
            the ground truth around the passage.
        passage: The passage that supports it best; None where none has any of its words.
        contradictions: What of it differs from that passage, in order of the output.
    """

    start: int
    end: int
    score: float
    evaluator_score: float
    passage: Passage | None = None
    contradictions: tuple[Contradiction, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the server's time went, in seconds. Only the total includes an explanation."""

    encode: float
    queue: float
    inference: float
    total: float


@dataclass(frozen=True, slots=True)
class Score:
    """The answer for one interaction.

    Attributes:
        verdict: PASS, REVIEW or BLOCK. A verdict that this client is too old to know reads REVIEW,
            with `Reason.UNKNOWN`.
        score: Calibrated probability in [0, 1] that the output meets the criterion; None if the
            server could not answer and the client is set to fail open or closed.
        request_id: The request's id, as in the server's log.
        evaluator: Name of the evaluator that answered; empty if none did.
        version: Its version; 0 if it doesn't come from a repository.
        engine: The graph and where it ran, as in `int8/cpu`.
        pass_at: PASS at this score and above.
        block_below: BLOCK below this score.
        certificate: The guarantee on the thresholds, if there is one.
        reasons: What to know about this score.
        coverage: Tokens scored and total, for each field the evaluator reads.
        timing: Where the server's time went.
        cached: Whether this is the score that this version gave the same interaction before.
        ood_score: How unlike the evaluator's training data the interaction is, at least 0; above 1,
            `Reason.OUT_OF_DISTRIBUTION` is among the reasons. None if the evaluator can't tell.
        highlights: The words that lowered the score, in order of the output, if the call asked for
            them (`explain`). If there was no time, `Reason.NOT_EXPLAINED` is among the reasons.
        evidence: For each sentence of the output, what supports and what contradicts it, if the
            call asked for it (`explain`). Empty if there was no time.
        failure: Why the server could not answer. Then the verdict is the client's choice
            (`on_failure`), not an evaluator's.
    """

    verdict: Verdict
    score: float | None
    request_id: str = ""
    evaluator: str = ""
    version: int = 0
    engine: str = ""
    pass_at: float | None = None
    block_below: float | None = None
    certificate: Certificate | None = None
    reasons: tuple[Reason, ...] = ()
    coverage: Mapping[str, Coverage] = field(default_factory=dict, hash=False)
    timing: Timing | None = None
    cached: bool = False
    ood_score: float | None = None
    highlights: tuple[Highlight, ...] = ()
    evidence: tuple[SentenceEvidence, ...] = ()
    failure: ScoringError | None = None

    @property
    def passed(self) -> bool:
        """Whether the verdict is PASS."""
        return self.verdict is Verdict.PASS


@dataclass(frozen=True, slots=True)
class EvaluatorInfo:
    """One evaluator that a server offers; fields as in `EvaluatorInfo` of `scoring.proto`."""

    name: str
    version: int
    engine: str
    criterion: str
    fields: tuple[str, ...]
    pass_at: float
    block_below: float
    certificate: Certificate | None
    max_tokens: int
