"""Polynomial-decay averaging of the weights.

Shamir & Zhang 2013, "Stochastic gradient descent for non-smooth optimization", section 4. The last
steps of a small fine-tuning wander about; their average lies nearer to what they wander about. How
fast old steps are forgotten depends on how many there are, so that short and long runs average a
like share of their steps, and nothing needs to be tuned to a run's length.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from tipstaff_trainer.distil.model import EvaluatorModel

_Tensors = tuple[Tensor, ...] | list[Tensor]

# About the last (1 / _DECAY) of the steps count.
_DECAY = 8


class AveragingModel(nn.Module):
    """An evaluator that is trained itself and evaluated as the average of its steps so far.

    Its state holds both, so that checkpoints keep them together.

    Attributes:
        current: The model that the optimiser moves.
    """

    def __init__(self, current: EvaluatorModel) -> None:
        super().__init__()
        self.current = current
        self._averaged = AveragedModel(current, multi_avg_fn=_polynomial_decay).requires_grad_(
            False
        )

    @property
    def average(self) -> EvaluatorModel:
        """The average; the first weights before the first step."""
        return cast(EvaluatorModel, self._averaged.module)

    # The arguments by name: the Trainer hands `**kwargs` more than an evaluator takes.
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        marks: Tensor,
        labels: Tensor | None = None,
        weights: Tensor | None = None,
        parts: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The outputs of the current model; in evaluation mode, of the average."""
        model = self.current if self.training else self.average
        return model(input_ids, attention_mask, marks, labels, weights, parts)  # type: ignore[no-any-return]

    def update(self) -> None:
        """Adds the current weights to the average; to be called after each step."""
        self._averaged.update_parameters(self.current)


def _polynomial_decay(average: _Tensors, current: _Tensors, averaged: Tensor | int) -> None:
    torch._foreach_lerp_(average, current, (_DECAY + 1) / (float(averaged) + 1 + _DECAY))
