"""A report as data, which the page, the card and `report.json` show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from pydantic import Field

from tipstaff.cli.evidence import contradiction_in_words
from tipstaff.types import Interaction, Verdict
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.cases import Case, Outcome
from tipstaff_server.evaluator.manifest import Policy
from tipstaff_server.evaluator.quality import Interval, Probes
from tipstaff_trainer.evaluation import curves
from tipstaff_trainer.evaluation.base import Floats, Metrics, Part
from tipstaff_trainer.evaluation.baselines import Baseline, measure_baselines
from tipstaff_trainer.evaluation.curves import Curve, Histogram, ReliabilityBin
from tipstaff_trainer.evaluation.intervals import share
from tipstaff_trainer.evaluation.latency import Latency
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.evaluation.risk_coverage import risk_coverage_curves
from tipstaff_trainer.evaluation.scored import RowText, ScoredRows
from tipstaff_trainer.evaluation.slices import Slice, measure, slices

_MOST_MISTAKES = 10


class Sentence(Part):
    """A sentence of an output, with the evidence for it.

    Attributes:
        text: The sentence.
        score: How well it is supported, to compare with the output's other sentences.
        passage: What supports it best; None where no passage has its words.
        contradictions: What differs from the passage, in words.
    """

    text: str
    score: float
    passage: str | None
    contradictions: tuple[str, ...]


class Mistake(RowText):
    """A wrongly decided row.

    Attributes:
        score: Its score.
        reasons: What to know about the score.
        sentences: The output's sentences with their evidence, where there is a ground truth.
    """

    score: float
    reasons: tuple[str, ...]
    sentences: tuple[Sentence, ...] = ()


class CaseOutcome(Part):
    """A named case with the evaluator's verdict."""

    case: Case
    verdict: Verdict
    score: float
    met: bool


class Confusion(Part):
    """Rows by verdict, of one class."""

    label: str
    passed: int
    review: int
    blocked: int


class Cuts(Part):
    """Verdicts by label, at the evaluator's cuts.

    Attributes:
        policy: The cuts, and their certificate if they have one.
        confusion: Good rows, then bad ones.
        false_pass: P(PASS | bad).
        false_block: P(BLOCK | good).
        review: P(REVIEW).
    """

    policy: Policy
    confusion: tuple[Confusion, Confusion]
    false_pass: Interval | None
    false_block: Interval | None
    review: Interval


class Measured(Part):
    """One evaluator on one set of labelled rows, in short.

    Attributes:
        evaluator: Its name.
        bundle: The bundle's folder, as the user named it.
        engine: The graph and where it ran.
        base: The encoder that it was trained from.
        overall: The main measures with intervals.
        metrics: All measures.
        latency: Of one request by length.
    """

    evaluator: str
    bundle: str
    engine: str
    base: str
    overall: Slice
    metrics: Metrics
    latency: tuple[Latency, ...]


class Report(Measured):
    """One evaluator on one set of labelled rows, in full.

    Attributes:
        criterion: What it judges, in words.
        data: The rows' file, as the user named it.
        made_at: UTC, ISO 8601.
        trained_on: Rows that its weights were fitted to.
        warnings: What limits the numbers.
        cuts: Verdicts by label.
        roc: None where all rows are of one class.
        precision_recall: None where all rows are of one class.
        risk: Curves of risk against coverage, where doubtful rows are left to a person.
        reliability: Mean score against mean label.
        histogram: Scores by class.
        false_passes: Bad rows that got a PASS, the surest first.
        false_blocks: Good rows that got a BLOCK, the surest first.
        slices: Measures of parts of the rows.
        cases: Named cases, those that fail first.
        baselines: The evaluator beside cheap metrics, itself first; empty where no row has a
            reference.
        learning: Curves of the training run, if its folder is available.
        probes: What rewriting outputs does to the verdicts, from the bundle; None if not measured.
    """

    criterion: str
    data: str
    made_at: str
    trained_on: int
    warnings: tuple[str, ...]
    cuts: Cuts
    roc: Curve | None
    precision_recall: Curve | None
    risk: tuple[Curve, ...]
    reliability: tuple[ReliabilityBin, ...]
    histogram: Histogram
    false_passes: tuple[Mistake, ...]
    false_blocks: tuple[Mistake, ...]
    slices: tuple[Slice, ...]
    cases: tuple[CaseOutcome, ...]
    baselines: tuple[Baseline, ...] = Field(serialization_alias="yardsticks")
    learning: tuple[Curve, ...]
    probes: Probes | None = None


def measure_evaluator(
    evaluator: Evaluator, scored: ScoredRows, *, bundle: str, latency: Sequence[Latency] = ()
) -> Measured:
    """Measures an evaluator on scored rows, in short."""
    return Measured(
        evaluator=evaluator.manifest.name,
        bundle=bundle,
        engine=evaluator.engine,
        base=evaluator.manifest.base.name,
        overall=measure(scored),
        metrics=classification_metrics(scored.labels, scored.scores),
        latency=tuple(latency),
    )


def make_report(
    evaluator: Evaluator,
    scored: ScoredRows,
    *,
    bundle: str,
    data: str,
    slice_by: Sequence[str] = (),
    warnings: Sequence[str] = (),
    cases: Sequence[Outcome] = (),
    metrics: Mapping[str, Floats] | None = None,
    latency: Sequence[Latency] = (),
    learning: Sequence[Curve] = (),
) -> Report:
    """Measures an evaluator on scored rows, in full.

    Args:
        evaluator: The evaluator that scored the rows.
        scored: At least one row.
        bundle: Where the evaluator came from, for the reader.
        data: Where the rows came from, for the reader.
        slice_by: Columns; each of their values is measured separately.
        warnings: What limits the numbers.
        cases: Named cases that it ran.
        metrics: Values of cheap metrics for the rows, by name, to compare with.
        latency: Of one request by length.
        learning: The training run's curves.

    Raises:
        DataError: No row has a column to slice by.
    """
    measured = measure_evaluator(evaluator, scored, bundle=bundle, latency=latency)
    return Report(
        **dict(measured),
        criterion=evaluator.manifest.criterion,
        data=data,
        made_at=utc_now(),
        trained_on=evaluator.manifest.training.rows,
        warnings=tuple(warnings),
        cuts=_cuts(scored, evaluator.graph.policy, measured.overall),
        roc=curves.roc(scored.good, scored.scores),
        precision_recall=curves.precision_recall(scored.good, scored.scores),
        risk=risk_coverage_curves(scored),
        reliability=curves.reliability(scored.labels, scored.scores),
        histogram=curves.histogram(scored.good, scored.scores),
        false_passes=_mistakes(evaluator, scored, Verdict.PASS, -1),
        false_blocks=_mistakes(evaluator, scored, Verdict.BLOCK, 1),
        slices=slices(scored, slice_by),
        cases=tuple(case_outcome(each) for each in sorted(cases, key=lambda each: each.met)),
        baselines=measure_baselines(scored, metrics or {}),
        learning=tuple(learning),
        probes=evaluator.manifest.probes,
    )


def utc_now() -> str:
    """The time as reports hold it: UTC, ISO 8601, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def case_outcome(outcome: Outcome) -> CaseOutcome:
    """Converts an outcome for a report."""
    return CaseOutcome(
        case=outcome.case, verdict=outcome.verdict, score=outcome.score, met=outcome.met
    )


def _cuts(scored: ScoredRows, policy: Policy, overall: Slice) -> Cuts:
    review = share(scored.verdict_is(Verdict.REVIEW), scored.groups)
    assert review is not None
    return Cuts(
        policy=policy,
        confusion=(_confusion(scored, good=True), _confusion(scored, good=False)),
        false_pass=overall.false_pass,
        false_block=overall.false_block,
        review=review,
    )


def _confusion(scored: ScoredRows, *, good: bool) -> Confusion:
    def count(verdict: Verdict) -> int:
        return int((scored.verdict_is(verdict) & (scored.good == good)).sum())

    return Confusion(
        label="good" if good else "bad",
        passed=count(Verdict.PASS),
        review=count(Verdict.REVIEW),
        blocked=count(Verdict.BLOCK),
    )


def _mistakes(
    evaluator: Evaluator, scored: ScoredRows, verdict: Verdict, direction: int
) -> tuple[Mistake, ...]:
    """The rows that got a verdict wrongly, by falling score for direction -1, by rising for 1."""
    places = np.flatnonzero(scored.wrongly(verdict))
    ranked = places[np.argsort(direction * scored.scores[places], kind="stable")]
    return tuple(_mistake(evaluator, scored, place) for place in ranked[:_MOST_MISTAKES].tolist())


def _mistake(evaluator: Evaluator, scored: ScoredRows, place: int) -> Mistake:
    prediction = scored.predictions[place]
    return Mistake(
        **scored.text(place),
        score=prediction.score,
        reasons=tuple(map(str, prediction.reasons)),
        sentences=_sentences(evaluator, scored.rows[place].interaction),
    )


def _sentences(evaluator: Evaluator, interaction: Interaction) -> tuple[Sentence, ...]:
    if not all(evaluator.reads(interaction, name) for name in ("output", "ground_truth")):
        return ()
    output, truth = interaction.output or "", interaction.ground_truth or ""
    if not output.strip():
        return ()
    return tuple(
        Sentence(
            text=output[each.start : each.end],
            score=each.score,
            passage=each.passage and truth[each.passage.start : each.passage.end],
            contradictions=tuple(
                contradiction_in_words(differs, output, truth) for differs in each.contradictions
            ),
        )
        for each in evaluator.explain_sentences(interaction)
    )
