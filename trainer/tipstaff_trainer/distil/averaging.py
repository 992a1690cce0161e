"""Polynomial-decay averaging of the weights.

Shamir & Zhang 2013, "Stochastic gradient descent for non-smooth optimization", section 4. The last
steps of a small fine-tuning scatter around an optimum; their average lies nearer to it. The decay
depends on the number of steps, so that short and long runs average a similar share of their steps,
and nothing needs to be tuned to a run's length.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from tipstaff_trainer.distil.model import EvaluatorModel

_Tensors = tuple[Tensor, ...] | list[Tensor]

# The average covers about the last (1 / _DECAY) of the steps.
_DECAY = 8


class AveragingModel(nn.Module):
    """An evaluator with the average of its steps, which takes its place in evaluation.

    The state holds both, so that checkpoints keep them together.

    Attributes:
        current: The model that the optimiser moves.
    """

    # Keeps the Trainer from passing more arguments than an evaluator takes.
    accepts_loss_kwargs = False

    def __init__(self, current: EvaluatorModel) -> None:
        super().__init__()
        self.current = current
        averaged = AveragedModel(current, multi_avg_fn=_polynomial_decay)
        self._averaged = averaged.requires_grad_(False)

    @property
    def average(self) -> EvaluatorModel:
        """The average; the first weights before the first step."""
        return cast(EvaluatorModel, self._averaged.module)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> dict[str, Tensor]:
        """The outputs of the current model; in evaluation mode, of the average."""
        model = self.current if self.training else self.average
        return model(*args, **kwargs)  # type: ignore[no-any-return]

    def update(self) -> None:
        """Adds the current weights to the average; call it after each step."""
        self._averaged.update_parameters(self.current)


def _polynomial_decay(average: _Tensors, current: _Tensors, averaged: Tensor | int) -> None:
    torch._foreach_lerp_(average, current, (_DECAY + 1) / (float(averaged) + 1 + _DECAY))
