"""The part of an evaluator's head that takes lexical evidence.

A mixture of two experts (Jacobs et al. 1991, "Adaptive mixtures of local experts"): the encoder's
logit, and the logit of a regression on the evidence, which a gate lets through as far as the
encoder's output says that words can be trusted: "It is not 30 days" shares its words with the
truth. Both the encoder's logit alone and the sum are trained, since an encoder that is trained for
the sum alone learns only what counting words doesn't say, and stops early.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_server.evaluator.evidence import NAMES
from tipstaff_server.evaluator.windows import deciding_run_index
from tipstaff_trainer.data import Row
from tipstaff_trainer.evaluation.base import Floats
from tipstaff_trainer.evaluation.calibration import calibrated_loss
from tipstaff_trainer.evaluation.regression import fit_logistic

# The inverse strength of the ridge penalty, without products and with them. Without, it was chosen
# in folds of rows of several data sets; a tenth or ten times of it made no difference.
_INVERSE_PENALTY, _INVERSE_PENALTY_OF_PRODUCTS = 0.3, 0.03
# The least AUROC of the evidence alone for which products are worth having. Where words say less,
# what products find doesn't carry over, and the encoder learns less beside them.
_TELLING = 0.85
# Pairs of the numbers, each with itself too: where all words of an output are found again,
# one negation decides; where few are, it says nothing.
_FIRST, _SECOND = map(list, zip(*combinations_with_replacement(range(len(NAMES)), 2), strict=True))
# Wider than any evidence.
_ANY = 1e4
# The most of the evidence's logit that the gate lets through; it starts half open. With one fixed
# share for all rows, validation rows chose 1 on evouna-nq and 1.5 on begin-dev.
_MOST = 2.0

# The scale's prior: its standard deviation around 1. A few dozen rows hardly move it.
_SCALE_PRIOR = 1.0
_MOST_SCALE = 4.0
_FEWEST_ROWS = 20


class LexicalFit(NamedTuple):
    """A logistic regression on evidence and products of two of its numbers; see `fit_lexical`.

    With products, evidence is taken within the range of the rows that it was fitted on, less its
    mean there.

    Attributes:
        lowest: The least of each number, shape (n,).
        highest: The greatest of each, shape (n,).
        mean: Shape (n,).
        weights: Of the numbers, shape (n,).
        pairs: Of the products, shape (n (n + 1) / 2,).
        bias: The intercept.
    """

    lowest: Floats
    highest: Floats
    mean: Floats
    weights: Floats
    pairs: Floats
    bias: float

    @classmethod
    def linear(cls, weights: Floats, bias: float) -> LexicalFit:
        """A regression on the numbers alone, over any range."""
        zeros = np.zeros(len(NAMES))
        return cls(zeros - _ANY, zeros + _ANY, zeros, weights, np.zeros(len(_FIRST)), bias)


class LexicalHead(nn.Module):
    """The evidence's part of the logit.

    Attributes:
        weights: Those of the regression, shape (n,); it is not trained further.
        pairs: Those of its products, shape (n (n + 1) / 2,).
        bias: Its intercept, shape ().
        gate: From the encoder's output to how much of the regression's logit counts.
    """

    def __init__(self, hidden_size: int, fit: LexicalFit | None = None) -> None:
        """Starts from a regression, or from zeros where a trained head will be loaded."""
        super().__init__()
        fit = fit or LexicalFit.linear(np.zeros(len(NAMES)), 0.0)
        self.lowest: Tensor
        self.highest: Tensor
        self.mean: Tensor
        self.weights: Tensor
        self.pairs: Tensor
        self.bias: Tensor
        for name, values in fit._asdict().items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))
        self.register_load_state_dict_pre_hook(_fill_linear)  # type: ignore[no-untyped-call]
        self.gate = nn.Linear(hidden_size, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def scale(self, factor: float) -> None:
        """Multiplies the evidence's part of the logit."""
        for part in (self.weights, self.pairs, self.bias):
            part.mul_(factor)

    def forward(self, pooled: Tensor, evidence: Tensor) -> Tensor:
        """The evidence's part of the logit, shape (batch,).

        Args:
            pooled: The encoder's output, shape (batch, hidden).
            evidence: Shape (batch, n).
        """
        # Not a matrix product: its kernels may sum in another order if there are more rows.
        usual = torch.minimum(torch.maximum(evidence, self.lowest), self.highest) - self.mean
        products = usual[:, _FIRST] * usual[:, _SECOND]
        linear: Tensor = (usual * self.weights).sum(dim=-1)
        logit = linear + (products * self.pairs).sum(dim=-1) + self.bias
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
        return LexicalFit.linear(np.zeros(len(NAMES)), 0.0)
    shares = np.array([row.weight for row in rows])
    weights, bias = fit_logistic(evidence, labels, shares, _INVERSE_PENALTY)
    good = labels > 0.5
    if good.all() or not good.any() or roc_auc_score(good, evidence @ weights) < _TELLING:
        return LexicalFit.linear(weights, bias)
    mean = evidence.mean(axis=0)
    usual = evidence - mean
    numbers = np.hstack([usual, usual[:, _FIRST] * usual[:, _SECOND]])
    weights, bias = fit_logistic(numbers, labels, shares, _INVERSE_PENALTY_OF_PRODUCTS)
    return LexicalFit(
        lowest=evidence.min(axis=0),
        highest=evidence.max(axis=0),
        mean=mean,
        weights=weights[: len(NAMES)],
        pairs=weights[len(NAMES) :],
        bias=bias,
    )


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


def _fill_linear(head: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Gives the weights of an evaluator from before products the parts that they lack."""
    if f"{prefix}weights" in state and f"{prefix}pairs" not in state:
        weights, bias = state[f"{prefix}weights"], state[f"{prefix}bias"]
        linear = LexicalFit.linear(weights.numpy(), float(bias))._asdict()
        state |= {
            f"{prefix}{name}": torch.tensor(part, dtype=torch.float32)
            for name, part in linear.items()
        }


def _deciding(encoded: Encoded) -> npt.NDArray[np.float32]:
    """The evidence of the run that would decide by the share of the output's words alone."""
    shares = [float(tokens.evidence[0]) for tokens in encoded.runs]
    return encoded.runs[deciding_run_index(shares, encoded.parts)].evidence
