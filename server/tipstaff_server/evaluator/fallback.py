"""Where an interaction is unlike the training data, its words count more than the encoder.

The encoder's logit is as sure there as anywhere, and may know nothing. What carries over from one
data set to others is the share of the output's words that the ground truth has. So the log-odds of
what is out of distribution are, to nine tenths, those of a regression on this share. Where words
say nothing of the criterion, the regression gives the share of good training rows, and the tenth of
the encoder's log-odds is left to rank by. Everything else is scored by the encoder alone.
"""

from __future__ import annotations

from tipstaff_server.evaluator.calibration import log_odds, probability
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import SHARE_OF_OUTPUT
from tipstaff_server.evaluator.layout import COMPARED
from tipstaff_server.evaluator.manifest import Graph
from tipstaff_server.evaluator.ood import THRESHOLD
from tipstaff_server.evaluator.windows import deciding_run_index

# What the encoder's log-odds count where an interaction is out of distribution.
_ENCODER_WEIGHT = 0.1


def is_comparable(encoded: Encoded) -> bool:
    """Whether there are an output and a ground truth, whose words can be compared."""
    return not any(name in encoded.missing for name in COMPARED)


def share_of_words(encoded: Encoded) -> float:
    """The share of the output's words that the ground truth has, by weight; in [0, 1].

    Of a text in several windows it is that of the output's worst window, each with the window of
    the ground truth that has most of it.
    """
    shares = [float(tokens.evidence[SHARE_OF_OUTPUT]) for tokens in encoded.runs]
    return shares[deciding_run_index(shares, encoded.parts)]


def score_of(graph: Graph, logit: float, encoded: Encoded, ood_score: float | None) -> float:
    """The probability in [0, 1] that an output meets the criterion.

    Args:
        graph: The graph that gave the logit.
        logit: That of the run that decides.
        encoded: The interaction.
        ood_score: Its out-of-distribution score; None if the evaluator can't tell.
    """
    z = log_odds(logit, graph.calibration)
    if graph.fallback is None or ood_score is None or not is_comparable(encoded):
        return probability(z)
    # Not the other way round: of a score that is no number nothing is known.
    if not ood_score > THRESHOLD:
        return probability(z)
    words = graph.fallback.slope * share_of_words(encoded) + graph.fallback.intercept
    return probability(words + _ENCODER_WEIGHT * (z - words))
