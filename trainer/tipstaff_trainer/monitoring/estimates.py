"""The rate of bad answers in all traffic, from reviewed rows that were drawn and all scores.

Prediction-powered inference in its form for samples with known probabilities, which survey
statisticians know as the generalised regression estimator (Cassel, Särndal and Wretman 1976; Active
Statistical Inference, arXiv 2403.03208; PPI++, arXiv 2311.01453). With f the evaluator's P(bad), L
a person's label and π the probability of being reviewed:

    rate = mean over all of (a + λ f)  +  (1/N) Σ over reviewed of (L − a − λ f) / π

where a and λ are fitted to the reviewed rows, weighted as the variance weighs them. All unreviewed
rows enter through their number and the sum of their f, so that none of their text is needed. The
interval is Clopper and Pearson's with the effective number of reviews (Korn and Graubard 1998),
which also holds where few or no reviewed rows are bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit

from tipstaff_trainer.monitoring.reviews import DrawnReview

# With fewer reviews an interval would be too wide to be of use, or miss the truth too often.
FEWEST_REVIEWS = 30
_FEWEST_EFFECTIVE = 10
# Lost rows may differ from kept ones: above this share of the drawn rows, the rest is no sample.
MOST_DROPPED = 0.05
# What people couldn't judge may differ from what they could.
MOST_UNANSWERED = 0.1


@dataclass(frozen=True, slots=True)
class Totals:
    """All answers that a rate is about, drawn or not.

    Attributes:
        n: Answers.
        expected_bad: The sum of 1 − score over them.
        drawn: Of these, those drawn to be kept.
        dropped: Of the drawn, those that were lost.
    """

    n: int
    expected_bad: float
    drawn: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its 95 % interval.

    Attributes:
        value: The rate; None if it is withheld.
        low: The interval's lower end; None with the rate.
        high: Its upper end; None with the rate.
        reviews: The reviewed rows that it rests on.
        expected: The rate according to the calibrated scores alone. Where it is far from the rate,
            what makes an answer bad may have changed.
        withheld: Why there is no rate; empty if there is.
    """

    value: float | None
    low: float | None
    high: float | None
    reviews: int
    expected: float | None
    withheld: str = ""


def estimate_rate(
    totals: Totals,
    reviews: Sequence[DrawnReview],
    *,
    unanswered: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """The share of bad answers among all.

    Args:
        totals: All answers.
        reviews: The drawn ones that people labelled.
        unanswered: How many drawn ones people left without a label.
        confidence: The interval's, in (0, 1).
    """
    expected = totals.expected_bad / totals.n if totals.n else None
    dropped = totals.dropped / totals.drawn if totals.drawn else 0.0
    why = _why_withheld(totals, reviews, dropped, unanswered)
    if why:
        return Estimate(None, None, None, len(reviews), expected, why)
    label = np.array([each.bad for each in reviews])
    f = np.array([each.expected for each in reviews])
    pi = np.array([each.probability for each in reviews]) * (1 - dropped)
    intercept, slope = _fit(label, f, pi)
    fitted = intercept + slope * f
    total = intercept * totals.n + slope * totals.expected_bad
    total += float(((label - fitted) / pi).sum())
    value = min(1.0, max(0.0, total / totals.n))
    variance = _variance(label, f, pi, fitted) / totals.n**2
    count = len(reviews)
    effective = _effective_reviews(value, variance, 1 / pi)
    if effective < _FEWEST_EFFECTIVE:
        why = "the reviewed rows differ too much in their weights: review more"
        return Estimate(None, None, None, count, expected, why)
    low, high = clopper_pearson(value * effective, effective, confidence)
    return Estimate(value, low, high, count, expected)


def _why_withheld(
    totals: Totals, reviews: Sequence[DrawnReview], dropped: float, unanswered: int
) -> str:
    asked = len(reviews) + unanswered
    if asked and unanswered / asked > MOST_UNANSWERED:
        return f"people left {unanswered} of {asked} drawn rows without a label"
    if dropped > MOST_DROPPED:
        return f"{dropped:.0%} of the drawn rows were lost, so the others may not represent them"
    if len(reviews) < FEWEST_REVIEWS:
        return f"{len(reviews)} drawn rows are reviewed, and it takes {FEWEST_REVIEWS}"
    if totals.n < len(reviews):
        return "fewer answers are counted than reviewed: some counts are missing"
    return ""


def _fit(
    label: np.ndarray[tuple[int], np.dtype[np.float64]],
    f: np.ndarray[tuple[int], np.dtype[np.float64]],
    pi: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> tuple[float, float]:
    """The intercept and slope that minimise the estimate's variance."""
    weight = (1 - pi) / pi**2 + 1e-9
    mean_f, mean_label = np.average(f, weights=weight), np.average(label, weights=weight)
    spread = float(np.average((f - mean_f) ** 2, weights=weight))
    together = float(np.average((f - mean_f) * (label - mean_label), weights=weight))
    # 1 takes the scores at their word, 0 ignores them; a slope outside [0, 1] is noise.
    slope = min(1.0, max(0.0, together / spread)) if spread > 1e-12 else 0.0
    return float(mean_label - slope * mean_f), slope


def _variance(
    label: np.ndarray[tuple[int], np.dtype[np.float64]],
    f: np.ndarray[tuple[int], np.dtype[np.float64]],
    pi: np.ndarray[tuple[int], np.dtype[np.float64]],
    fitted: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> float:
    """The variance of the estimated total: the larger of two estimates.

    One is from the residuals, each as if the fit had left its row out (HC3), the other from the
    fitted probabilities. Residuals alone are too small where a rarely drawn kind has bad rows, as
    many samples contain none of them.
    """
    weight = (1 - pi) / pi**2
    spread = weight / max(float(weight.sum()), 1e-12)
    centred = f - float((spread * f).sum())
    squares = float((spread * centred**2).sum())
    leverage = spread * (1 + (centred**2 / squares if squares > 1e-12 else 0.0))
    residual = (label - fitted) / (1 - np.minimum(leverage, 0.5))
    chance = np.clip(fitted, 1 / len(label), 1 - 1 / len(label))
    return max(float((weight * residual**2).sum()), float((weight * chance * (1 - chance)).sum()))


def _effective_reviews(
    value: float, variance: float, weights: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    """The size of a simple random sample with the same variance."""
    kish = float(weights.sum() ** 2 / (weights**2).sum())
    # The variance is 0 where all answers were reviewed.
    if variance <= 0 or not 0 < value < 1:
        return kish
    count = len(weights)
    effective = value * (1 - value) / variance
    # As Korn and Graubard: the variance is itself an estimate, with `count − 1` degrees of freedom.
    quantiles = stdtrit(count - 1, 0.975) / ndtri(0.975)
    return min(effective / float(quantiles) ** 2, 20.0 * count)


def clopper_pearson(bad: float, count: float, confidence: float) -> tuple[float, float]:
    """The exact interval of a share, also for numbers that are not whole.

    Args:
        bad: How many are bad.
        count: How many there are.
        confidence: The interval's, in (0, 1).
    """
    tail = (1 - confidence) / 2
    low = 0.0 if bad <= 0 else float(betaincinv(bad, count - bad + 1, tail))
    high = 1.0 if bad >= count else float(betaincinv(bad + 1, count - bad, 1 - tail))
    return low, high
