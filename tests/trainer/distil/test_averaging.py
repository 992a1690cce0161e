from __future__ import annotations

import pytest
import torch
from torch import nn

from tipstaff_trainer.distil.averaging import AveragingModel


class Constant(nn.Module):
    """A model that returns its only weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, *batch):
        return {"logit": self.weight}


def walked(*weights: float) -> AveragingModel:
    model = AveragingModel(Constant())
    for weight in weights:
        with torch.no_grad():
            model.current.weight.fill_(weight)
        model.update()
    return model


def logit(model) -> float:
    return model(None, None, None)["logit"].item()


def test_learns_as_itself_and_is_evaluated_as_the_average():
    model = walked(*[1.0] * 50, 2.0)
    assert logit(model.train()) == 2.0
    assert 1.0 < logit(model.eval()) < 1.5
    assert model.average.weight.item() == logit(model)
    assert [name for name, each in model.named_parameters() if each.requires_grad] == [
        "current.weight"
    ]


def test_the_first_step_replaces_what_there_was():
    assert logit(walked(3.0).eval()) == 3.0


@pytest.mark.parametrize("steps", [60, 600])
def test_short_and_long_runs_average_a_like_share_of_their_steps(steps):
    """Each step's weight is its time, so the average tells its age relative to the run."""
    age = 1 - logit(walked(*[(step + 1) / steps for step in range(steps)]).eval())
    assert age == pytest.approx(0.1, abs=0.02)


def test_the_average_goes_on_after_a_checkpoint():
    whole = walked(1.0, 5.0, 2.0, 8.0)
    resumed = AveragingModel(Constant())
    resumed.load_state_dict(walked(1.0, 5.0).state_dict())
    for weight in (2.0, 8.0):
        with torch.no_grad():
            resumed.current.weight.fill_(weight)
        resumed.update()
    assert logit(resumed.eval()) == logit(whole.eval())
