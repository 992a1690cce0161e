"""The part of an evaluator's head that takes lexical evidence.

A mixture of two experts (Jacobs et al. 1991, "Adaptive mixtures of local experts"): the encoder's
logit, and the logit of a regression on the evidence, which a gate lets through as far as the
encoder's output says that words can be trusted: "It is not 30 days" shares its words with the
truth. Both the encoder's logit alone and the sum are trained, since an encoder that is trained for
the sum alone learns only what counting words doesn't say, and stops early.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import NONE
from tipstaff_server.evaluator.windows import deciding_run_index
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.base import Floats
from tipstaff_trainer.evaluation.calibration import calibrated_loss

# The inverse strength of the ridge penalty: chosen in folds of rows of several data sets, among
# which a tenth or ten times of it made no difference.
_INVERSE_PENALTY = 0.3
# The most of the evidence's logit that the gate lets through; it starts half open. With one fixed
# share for all rows, validation rows chose 1 on evouna-nq and 1.5 on begin-dev.
_MOST = 2.0

# The scale's prior: its standard deviation around 1. A few dozen rows hardly move it.
_SCALE_PRIOR = 1.0
_MOST_SCALE = 4.0
_FEWEST_ROWS = 20


class LexicalFit(NamedTuple):
    """A logistic regression on evidence; see `fit_lexical`.

    Attributes:
        weights: Shape (n,).
        bias: The intercept.
    """

    weights: Floats
    bias: float


class LexicalHead(nn.Module):
    """The evidence's part of the logit.

    Attributes:
        weights: Those of the regression, shape (n,); not trained further.
        bias: Its intercept, shape ().
        gate: From the encoder's output to how much of the regression's logit counts.
    """

    def __init__(self, hidden_size: int, fit: LexicalFit | None = None) -> None:
        """Starts from a regression, or from zeros where a trained head will be loaded."""
        super().__init__()
        fit = fit or LexicalFit(NONE.astype(float), 0.0)
        self.weights: Tensor
        self.bias: Tensor
        self.register_buffer("weights", torch.tensor(fit.weights, dtype=torch.float32))
        self.register_buffer("bias", torch.tensor(fit.bias))
        self.gate = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def scale(self, factor: float) -> None:
        """Multiplies the evidence's part of the logit."""
        self.weights.mul_(factor)
        self.bias.mul_(factor)

    def forward(self, pooled: Tensor, evidence: Tensor) -> Tensor:
        """The evidence's part of the logit, shape (batch,).

        Args:
            pooled: The encoder's output, shape (batch, hidden).
            evidence: Shape (batch, n).
        """
        # Not a matrix product: its kernels may sum in another order if there are more rows.
        logit: Tensor = (evidence * self.weights).sum(dim=-1) + self.bias
        return _MOST * torch.sigmoid(self.gate(pooled).squeeze(-1)) * logit


def fit_lexical(rows: Sequence[Row], encoded: Sequence[Encoded]) -> LexicalFit:
    """Fits the regression on training rows; zeros where all rows are of one class.

    Args:
        rows: The rows.
        encoded: The same rows encoded, with evidence.
    """
    evidence = np.stack([_deciding(one) for one in encoded]).astype(float)
    labels = np.array([row.label for row in rows])
    if not 0 < labels.mean() < 1:
        return LexicalFit(np.zeros(evidence.shape[1]), 0.0)
    shares = np.array([row.weight for row in rows])
    mean, scale = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), 1e-3)
    # A soft label is a good row and a bad one, weighted.
    fit = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000).fit(
        np.tile((evidence - mean) / scale, (2, 1)),
        np.repeat([1, 0], len(rows)),
        np.concatenate([labels, 1 - labels]) * np.tile(shares / shares.mean(), 2),
    )
    weights = fit.coef_[0] / scale
    return LexicalFit(weights, float(fit.intercept_[0] - mean @ weights))


def fit_scale(rows: Sequence[Row], encoded: Sequence[Encoded], parts: Sequence[Floats]) -> float:
    """How much the evidence should count, as a multiple of what it counts after training.

    On rows that it was trained on, the encoder is surer than it should be, and training leaves too
    little to the evidence; or it believed words that mislead. Rows that it wasn't trained on say
    how much is right, as in stacking (Wolpert 1992, "Stacked generalization").

    Args:
        rows: Validation rows, those rewritten among them.
        encoded: The same rows encoded.
        parts: What encoder and evidence say of each row's runs, shape (runs, 2) each.

    Returns:
        The multiple with the least calibrated loss, from 0 to 4; 1 for few rows or a single class.
    """
    labels = np.array([row.label for row in rows])
    weights = np.array([row.weight for row in rows])
    if len(rows) < _FEWEST_ROWS or not 0 < labels.mean() < 1:
        return 1.0

    def loss(scale: float) -> float:
        logits = []
        for (own, lexical), one in zip((each.T for each in parts), encoded, strict=True):
            sums = own + scale * lexical
            logits.append(sums[one.deciding_run(sums.tolist())])
        prior = (scale - 1) ** 2 / (2 * _SCALE_PRIOR**2 * len(rows))
        return calibrated_loss(np.array(logits), labels, weights) + prior

    return float(minimize_scalar(loss, bounds=(0, _MOST_SCALE), options={"xatol": 0.01}).x)


def _deciding(encoded: Encoded) -> npt.NDArray[np.float32]:
    """The evidence of the run that would decide by the share of the output's words alone."""
    shares = [float(tokens.evidence[0]) for tokens in encoded.runs]
    return encoded.runs[deciding_run_index(shares, encoded.parts)].evidence
