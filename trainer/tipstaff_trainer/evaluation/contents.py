"""A report as data; the page, the card and `report.json` are three views of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tipstaff.types import Reason, Verdict
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.cases import Case, Outcome
from tipstaff_server.evaluator.manifest import Graph, Policy
from tipstaff_trainer.evaluation import curves
from tipstaff_trainer.evaluation.baselines import Baseline, measure_baselines
from tipstaff_trainer.evaluation.curves import Curve, Histogram, ReliabilityBin
from tipstaff_trainer.evaluation.intervals import Interval, share
from tipstaff_trainer.evaluation.latency import Latency
from tipstaff_trainer.evaluation.metrics import Metrics, classification_metrics
from tipstaff_trainer.evaluation.risk_coverage import risk_coverage_curves
from tipstaff_trainer.evaluation.scored import Bools, Floats, ScoredRows
from tipstaff_trainer.evaluation.slices import Slice, measure, slices

_MOST_MISTAKES = 10
_FEW_GROUPS = 10


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Mistake(_Part):
    """A wrongly decided row, with its text; `place` is its position in its file."""

    id: str
    place: str
    score: float
    label: float
    label_source: str
    input: str | None
    output: str | None
    ground_truth: str | None
    reasons: tuple[str, ...]


class CaseOutcome(_Part):
    """A named case with the evaluator's verdict."""

    case: Case
    verdict: Verdict
    score: float
    met: bool


class Confusion(_Part):
    """Rows by verdict, of one class."""

    label: str
    passed: int
    review: int
    blocked: int


class Cuts(_Part):
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


class Report(_Part):
    """One evaluator on one set of labelled rows.

    Attributes:
        evaluator: Its name.
        criterion: What it judges, in words.
        bundle: The bundle's folder, as given.
        data: The rows' file, as given.
        made_at: UTC, ISO 8601.
        engine: The graph and where it ran.
        base: The encoder that it grew from.
        trained_on: Rows that its weights were fitted to.
        overall: The main measures with intervals.
        metrics: All measures.
        warnings: What to know before believing the numbers.
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
        latency: Of one request by length.
        learning: Curves of the training run, where its folder is at hand.
    """

    evaluator: str
    criterion: str
    bundle: str
    data: str
    made_at: str
    engine: str
    base: str
    trained_on: int
    overall: Slice
    metrics: Metrics
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
    latency: tuple[Latency, ...]
    learning: tuple[Curve, ...]


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
    """Measures an evaluator on scored rows.

    Args:
        evaluator: That scored them.
        scored: At least one row.
        bundle: Where the evaluator came from, for the reader.
        data: Where the rows came from, for the reader.
        slice_by: Columns whose values part the rows.
        warnings: What to know before believing the numbers.
        cases: Named cases that it ran.
        metrics: Values of cheap metrics for the rows, by name, to compare with.
        latency: Of one request by length.
        learning: The training run's curves.

    Raises:
        DataError: No row has a column to slice by.
    """
    manifest = evaluator.manifest
    return Report(
        evaluator=manifest.name,
        criterion=manifest.criterion,
        bundle=bundle,
        data=data,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=evaluator.engine,
        base=manifest.base.name,
        trained_on=manifest.training.rows,
        overall=measure(scored),
        metrics=classification_metrics(scored.labels, scored.scores),
        warnings=tuple(warnings),
        cuts=_cuts(scored, evaluator.graph.policy),
        roc=curves.roc(scored.good, scored.scores),
        precision_recall=curves.precision_recall(scored.good, scored.scores),
        risk=risk_coverage_curves(scored),
        reliability=curves.reliability(scored.labels, scored.scores),
        histogram=curves.histogram(scored.good, scored.scores),
        false_passes=_mistakes(scored, ~scored.good & scored.verdict_is(Verdict.PASS), -1),
        false_blocks=_mistakes(scored, scored.good & scored.verdict_is(Verdict.BLOCK), 1),
        slices=slices(scored, slice_by),
        cases=tuple(case_outcome(each) for each in sorted(cases, key=lambda each: each.met)),
        baselines=measure_baselines(scored, metrics or {}),
        latency=tuple(latency),
        learning=tuple(learning),
    )


def doubts(scored: ScoredRows, graph: Graph) -> list[str]:
    """Warnings about what limits the numbers.

    Args:
        scored: At least one row.
        graph: The graph that scored them.
    """
    uncalibrated = []
    if graph.calibration.method == "none":
        uncalibrated = [
            "the evaluator's score is not calibrated, since there were too few validation rows of "
            "both classes, so it is no probability: train on more labelled rows"
        ]
    good = int(scored.good.sum())
    one_class = [
        f"all {len(scored)} rows are {these}, so nothing here shows the verdicts of {others} ones"
        for these, others, count in (("good", "bad", good), ("bad", "good", len(scored) - good))
        if count == len(scored)
    ]
    groups = len(np.unique(scored.groups))
    few_groups = []
    if groups < min(_FEW_GROUPS, len(scored)):
        few_groups = [
            f"the {len(scored)} rows are in {groups} group{'' if groups == 1 else 's'}, and rows "
            "of a group are not independent, so the ranges are wide"
        ]
    return [*uncalibrated, *one_class, *few_groups] + [
        f"{count} of {len(scored)} rows {what}"
        for reason, what in (
            (Reason.PARTIAL, "were not read in full: they are longer than the evaluator reads"),
            (Reason.OUT_OF_DISTRIBUTION, "look unlike the training data"),
            (Reason.DEGRADED, "were scored in a mode other than the measured one"),
        )
        if (count := scored.count(reason))
    ]


def case_outcome(outcome: Outcome) -> CaseOutcome:
    """An outcome as a report holds it."""
    return CaseOutcome(
        case=outcome.case, verdict=outcome.verdict, score=outcome.score, met=outcome.met
    )


def _cuts(scored: ScoredRows, policy: Policy) -> Cuts:
    overall = measure(scored)
    review = share(scored.verdict_is(Verdict.REVIEW), scored.groups)
    assert review is not None
    return Cuts(
        policy=policy,
        confusion=(
            _confusion(scored, "good", scored.good),
            _confusion(scored, "bad", ~scored.good),
        ),
        false_pass=overall.false_pass,
        false_block=overall.false_block,
        review=review,
    )


def _confusion(scored: ScoredRows, label: str, chosen: Bools) -> Confusion:
    passed, review, blocked = (
        int((scored.verdict_is(verdict) & chosen).sum())
        for verdict in (Verdict.PASS, Verdict.REVIEW, Verdict.BLOCK)
    )
    return Confusion(label=label, passed=passed, review=review, blocked=blocked)


def _mistakes(scored: ScoredRows, wrong: Bools, direction: int) -> tuple[Mistake, ...]:
    """The surest first: by falling score for direction -1, by rising for 1."""
    places = np.flatnonzero(wrong)
    ranked = places[np.argsort(direction * scored.scores[places], kind="stable")]
    return tuple(_mistake(scored, place) for place in ranked[:_MOST_MISTAKES])


def _mistake(scored: ScoredRows, place: int) -> Mistake:
    row, prediction = scored.rows[place], scored.predictions[place]
    return Mistake(
        id=row.id,
        place=row.place.rpartition(", ")[2],
        score=prediction.score,
        label=row.label,
        label_source=row.label_source,
        input=row.interaction.input,
        output=row.interaction.output,
        ground_truth=row.interaction.ground_truth,
        reasons=tuple(str(reason) for reason in prediction.reasons),
    )
