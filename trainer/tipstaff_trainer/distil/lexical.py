"""The part of an evaluator's head that takes lexical evidence.

A mixture of two experts (Jacobs et al. 1991, "Adaptive mixtures of local experts"): the encoder's
logit, and the logit of a regression on the evidence, which a gate lets through as far as the
encoder's output says that words can be trusted: "It is not 30 days" shares its words with the
truth. Both the encoder's logit alone and the sum are trained, since an encoder that is trained for
the sum alone learns only what counting words doesn't say, and stops early.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from tipstaff_server.evaluator.encoding import Encoded
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.lexical_fit import FIRST, SECOND, LexicalFit
from tipstaff_trainer.evaluation.base import Floats
from tipstaff_trainer.evaluation.calibration import calibrated_loss

# The most of the evidence's logit that the gate lets through; it starts half open. With one fixed
# share for all rows, validation rows chose 1 on evouna-nq and 1.5 on begin-dev.
_MOST = 2.0

# The scale's prior: its standard deviation around 1. A few dozen rows hardly move it.
_SCALE_PRIOR = 1.0
_MOST_SCALE = 4.0
_FEWEST_ROWS = 20


class LexicalHead(nn.Module):
    """The evidence's part of the logit.

    Where rows have two kinds of ground truth, words say other things of each: an output needn't say
    all that a text says, but all of a reference answer. So there are two regressions then, and the
    encoder's output chooses between them.

    Attributes:
        weights: Those of the regression, shape (n,) or (2, n); it is not trained further.
        pairs: Those of its products, shape (n (n + 1) / 2,) or (2, n (n + 1) / 2).
        bias: Its intercept, shape () or (2,).
        gate: From the encoder's output to how much of the regression's logit counts and, with two,
            how far the second counts rather than the first.
    """

    def __init__(self, hidden_size: int, *fits: LexicalFit) -> None:
        """Starts from one or two regressions; from zeros where a trained head will be loaded."""
        super().__init__()
        fits = fits or (LexicalFit.zero(),)
        assert len(fits) <= 2, "there are two kinds of ground truth"
        self.lowest: Tensor
        self.highest: Tensor
        self.mean: Tensor
        self.weights: Tensor
        self.pairs: Tensor
        self.bias: Tensor
        for name in LexicalFit._fields:
            values = torch.tensor(np.array([getattr(fit, name) for fit in fits]))
            self.register_buffer(name, (values if fits[1:] else values[0]).float())
        self.register_load_state_dict_pre_hook(_fill_linear)  # type: ignore[no-untyped-call]
        # One layer: the exporter shares equal weights between two, and the quantiser fails then.
        self.gate = nn.Linear(hidden_size, len(fits))
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    @classmethod
    def blank(cls, hidden_size: int, regressions: int) -> LexicalHead:
        """A head for trained weights with so many regressions."""
        return cls(hidden_size, *[LexicalFit.zero()] * regressions)

    @torch.no_grad()
    def take_gate(self, other: LexicalHead) -> None:
        """Takes the gate of another head; with fewer regressions there, only what it has."""
        shared = min(len(self.gate.bias), len(other.gate.bias))
        self.gate.weight[:shared] = other.gate.weight[:shared]
        self.gate.bias[:shared] = other.gate.bias[:shared]

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
        mixed = self.bias.ndim > 0
        if mixed:
            evidence = evidence.unsqueeze(1)
        # Not a matrix product: its kernels may sum in another order if there are more rows.
        usual = torch.minimum(torch.maximum(evidence, self.lowest), self.highest) - self.mean
        products = usual[..., FIRST] * usual[..., SECOND]
        linear: Tensor = (usual * self.weights).sum(dim=-1)
        logit = linear + (products * self.pairs).sum(dim=-1) + self.bias
        share, *of_second = torch.sigmoid(self.gate(pooled)).unbind(-1)
        if mixed:
            logit = logit[:, 0] + of_second[0] * (logit[:, 1] - logit[:, 0])
        return _MOST * share * logit


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
