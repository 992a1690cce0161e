"""What counts where an interaction is unlike the training data: its words.

The encoder's logit is as sure there as anywhere, and may know nothing. What carries over from one
data set to others is the share of the output's words that the ground truth has. So the log-odds of
an unlike interaction move towards those of a regression on this share. Where words say nothing of
the criterion, that is the share of good rows among the training data, and a tenth of the encoder's
log-odds is left to rank by.
"""

from __future__ import annotations

from tipstaff_server.evaluator.calibration import log_odds, probability
from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import SHARE_OF_OUTPUT
from tipstaff_server.evaluator.layout import COMPARED
from tipstaff_server.evaluator.manifest import Graph
from tipstaff_server.evaluator.ood import THRESHOLD

# From where on, as an out-of-distribution score, the encoder counts less, and what is left of it
# at the threshold and above.
_START = 0.8
_LEFT = 0.1


def share_of_words(encoded: Encoded) -> float:
    """The share of the output's words that the ground truth has, by weight; in [0, 1].

    Of several runs it is that of the run that would decide if this share were the logit.
    """
    shares = [float(tokens.evidence[SHARE_OF_OUTPUT]) for tokens in encoded.runs]
    return shares[encoded.deciding_run(shares)]


def score_of(graph: Graph, logit: float, encoded: Encoded, ood_score: float | None) -> float:
    """The probability in [0, 1] that an output meets the criterion.

    Args:
        graph: The graph that gave the logit.
        logit: That of the run that decides.
        encoded: The interaction.
        ood_score: Its out-of-distribution score; None if the evaluator can't tell.
    """
    z = log_odds(logit, graph.calibration)
    if graph.fallback is None or ood_score is None or ood_score <= _START:
        return probability(z)
    if any(name in encoded.missing for name in COMPARED):
        return probability(z)
    share = (ood_score - _START) / (THRESHOLD - _START)
    trust = max(_LEFT, 1.0 - (1.0 - _LEFT) * share)
    words = graph.fallback.slope * share_of_words(encoded) + graph.fallback.intercept
    return probability(words + trust * (z - words))
