"""Measures what rewritings do to an evaluator's verdicts, through the server's code."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tipstaff.types import Verdict
from tipstaff_server.evaluator import Evaluator, Prediction
from tipstaff_server.evaluator.quality import Interval, ProbeRate, Probes
from tipstaff_trainer.data import Row, fingerprint, united_groups
from tipstaff_trainer.evaluation.base import Bools, Floats, Ints
from tipstaff_trainer.evaluation.intervals import mean_difference, share
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.probes.augment import rewritten_row
from tipstaff_trainer.probes.pool import Pool
from tipstaff_trainer.probes.rewritings import REWRITINGS, Rewriting

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A rewritten row that got a wrong verdict."""

    before: Row
    after: Row
    score: float
    verdict: Verdict


@dataclass(frozen=True)
class ProbeResult:
    """One rewriting on the rows that it applies to.

    Attributes:
        rate: What it does to the verdicts.
        half_before: Share of the rows with a score of one half or more as they were.
        half_after: The same once rewritten.
        examples: Rewritten rows with a wrong verdict, the surest first.
    """

    rate: ProbeRate
    half_before: float
    half_after: Interval
    examples: Sequence[Example]


@dataclass(frozen=True)
class Probed:
    """All rewritings on a sample of rows.

    Attributes:
        pool: The rows' kind, and where wrong answers came from.
        rows: The sample.
        probes: The rates, for a manifest.
        results: The same with examples, in the same order.
        idle: Names of rewritings that applied to no row.
    """

    pool: Pool
    rows: Sequence[Row]
    probes: Probes
    results: Sequence[ProbeResult]
    idle: Sequence[str]


def probe(
    evaluator: Evaluator,
    rows: Sequence[Row],
    pool: Pool,
    *,
    sample: int,
    seed: int,
    rewritings: Sequence[Rewriting] = REWRITINGS,
) -> Probed:
    """Rewrites rows in wordings that no training has, and scores them before and after.

    Rewritings that break any row are measured on bad rows, whose own outputs are the most credible
    wrong answers.

    Args:
        evaluator: The evaluator, loaded and warmed up.
        rows: Labelled rows; a random sample of them is rewritten.
        pool: Where wrong answers come from.
        sample: The most rows of each class to rewrite by one rewriting.
        seed: The same rows and seed give the same rewritten rows.
        rewritings: The rewritings.
    """
    order = random.Random(f"{seed} sample").sample(list(rows), len(rows))
    chosen = [
        row for good in (False, True) for row in [row for row in order if row.good is good][:sample]
    ]
    plain = _Scored.of(evaluator, chosen)
    bad_passed, good_passed = plain.passed_share(~plain.good), plain.passed_share(plain.good)
    results, idle = [], []
    for rewriting in rewritings:
        generator = random.Random(f"{seed} {rewriting.name}")
        pairs = [
            (place, new)
            for place, row in enumerate(chosen)
            if _measured_on(rewriting, row)
            and (new := rewritten_row(rewriting, row, pool, "probing", generator)) is not None
        ]
        if not pairs:
            idle.append(rewriting.name)
            continue
        places, new_rows = zip(*pairs, strict=True)
        before = plain.at(places)
        after = _Scored.of(evaluator, new_rows, before.groups)
        base = good_passed if rewriting.effect == "mends" else bad_passed
        results.append(_result(rewriting, before, after, base.value if base else None))
    results.sort(key=lambda each: -each.rate.harm.value)
    probes = Probes(
        rows=len(chosen),
        bad_passed=bad_passed,
        good_passed=good_passed,
        rates=tuple(each.rate for each in results),
        fingerprint=fingerprint(chosen),
    )
    return Probed(pool, chosen, probes, results, idle)


def _measured_on(rewriting: Rewriting, row: Row) -> bool:
    if rewriting.effect == "mends" or rewriting.rows != "all":
        return True
    return row.good is (rewriting.effect == "keeps")


@dataclass(frozen=True)
class _Scored:
    rows: Sequence[Row]
    predictions: Sequence[Prediction]
    groups: Ints

    @classmethod
    def of(cls, evaluator: Evaluator, rows: Sequence[Row], groups: Ints | None = None) -> _Scored:
        if groups is None:
            groups = np.array(united_groups(rows), dtype=np.int64)
        return cls(rows, predict_all(evaluator, [row.interaction for row in rows]), groups)

    def at(self, places: Sequence[int]) -> _Scored:
        return _Scored(
            [self.rows[place] for place in places],
            [self.predictions[place] for place in places],
            self.groups[list(places)],
        )

    @property
    def good(self) -> Bools:
        return np.array([row.good for row in self.rows], dtype=bool)

    @property
    def passed(self) -> Bools:
        return np.array([each.verdict is Verdict.PASS for each in self.predictions], dtype=bool)

    @property
    def high(self) -> Bools:
        return np.array([each.score >= 0.5 for each in self.predictions], dtype=bool)

    def passed_share(self, among: Bools) -> Interval | None:
        return share(self.passed[among], self.groups[among])


def _result(
    rewriting: Rewriting, before: _Scored, after: _Scored, base: float | None
) -> ProbeResult:
    passed = share(after.passed, after.groups)
    high = share(after.high, after.groups)
    assert passed is not None
    assert high is not None
    bad = rewriting.effect == "breaks"
    paired = rewriting.effect == "keeps" or (bad and not before.good.any())
    was, now = before.passed.astype(float), after.passed.astype(float)
    if paired:
        harm = mean_difference(*((was, now) if bad else (now, was)), after.groups)
    else:
        # Against the plain rows of the new label, whose share counts as known.
        usual = (0.0 if bad else 1.0) if base is None else base
        harm = _shifted(passed, usual) if bad else _mirrored(passed, usual)
    rate = ProbeRate(
        name=rewriting.name,
        effect=rewriting.effect,
        n=len(after.rows),
        before=float(was.mean()) if paired else None,
        after=passed,
        harm=harm,
    )
    return ProbeResult(rate, float(before.high.mean()), high, _examples(before, after))


def _shifted(it: Interval, by: float) -> Interval:
    return Interval(value=it.value - by, low=it.low - by, high=it.high - by, n=it.n)


def _mirrored(it: Interval, around: float) -> Interval:
    return Interval(value=around - it.value, low=around - it.high, high=around - it.low, n=it.n)


def _examples(before: _Scored, after: _Scored) -> list[Example]:
    """The surest wrong verdicts: the highest scores of bad outputs, the lowest of good ones."""
    labels: Floats = np.array([row.good for row in after.rows], dtype=float)
    scores = np.array([each.score for each in after.predictions])
    wrong = after.passed != after.good
    order = [place for place in np.argsort(-np.abs(scores - labels)) if wrong[place]]
    return [
        Example(
            before.rows[place],
            replace(after.rows[place]),
            float(scores[place]),
            after.predictions[place].verdict,
        )
        for place in order[:_EXAMPLES]
    ]
