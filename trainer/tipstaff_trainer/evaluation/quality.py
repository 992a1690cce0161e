"""The main measures of a bundle, for its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tipstaff.types import Reason
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.manifest import Policy
from tipstaff_server.evaluator.policy import decide
from tipstaff_server.evaluator.quality import Quality
from tipstaff_trainer.data import Row, fingerprint
from tipstaff_trainer.evaluation.predict import Embeddings, Logits
from tipstaff_trainer.evaluation.scored import ScoredRows
from tipstaff_trainer.evaluation.slices import measure


def scored_outputs(
    evaluator: Evaluator,
    rows: Sequence[Row],
    encoded: Sequence[Encoded],
    outputs: tuple[Logits, Embeddings],
) -> ScoredRows:
    """Rows with an evaluator's predictions, from what its graph gave already.

    Args:
        evaluator: The evaluator.
        rows: The rows, shape (n,).
        encoded: Their interactions, encoded by this evaluator; shape (n,).
        outputs: Its graph's logits, shape (n,), and embeddings, shape (n, hidden), of the runs that
            decide.
    """
    predictions = [
        evaluator.predict_run(item, float(logit), embedding)
        for item, logit, embedding in zip(encoded, *outputs, strict=True)
    ]
    tokens = [sum(part.total for part in item.coverage.values()) for item in encoded]
    return ScoredRows.of(rows, predictions, tokens)


def without_pass(scored: ScoredRows, policy: Policy) -> ScoredRows:
    """The rows with the verdicts of an evaluator that turns out not to have learnt."""
    predictions = []
    for each in scored.predictions:
        reasons = (*each.reasons, Reason.NOT_LEARNT)
        verdict = decide(each.score, reasons, policy)
        predictions.append(replace(each, reasons=reasons, verdict=verdict))
    return replace(scored, predictions=predictions)


def measure_quality(scored: ScoredRows) -> Quality:
    """Measures an evaluator on at least one row, with intervals that know of groups."""
    overall = measure(scored)
    return Quality(
        n=overall.n,
        good=overall.good,
        accuracy=overall.accuracy,
        auroc=overall.auroc,
        bad_passed=overall.false_pass,
        fingerprint=fingerprint(scored.rows),
    )
