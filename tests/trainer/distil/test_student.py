from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from tiny_training import configurations, tiny_rows

from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.student import shrink, taught_rows
from tipstaff_trainer.errors import TrainingError

INPUTS = {
    "input_ids": torch.arange(5, 15).reshape(1, 10),
    "attention_mask": torch.ones(1, 10, dtype=torch.long),
    "marks": torch.zeros(1, 10, dtype=torch.long),
}


def model(architecture, **changes):
    config = configurations()[architecture]
    for name, value in changes.items():
        setattr(config, name, value)
    encoder = transformers.AutoModel.from_config(config, attn_implementation="eager")
    return EvaluatorModel(encoder, marks="words").eval()


@pytest.mark.parametrize("architecture", sorted(configurations().keys() - {"albert"}))
def test_some_layers_are_left_and_the_teacher_stays_whole(architecture):
    teacher = model(architecture)
    before = teacher(**INPUTS)["logit"]
    student = shrink(teacher, 1)
    assert sum(p.numel() for p in student.parameters()) < sum(
        p.numel() for p in teacher.parameters()
    )
    assert student.config.num_hidden_layers == 1
    assert student(**INPUTS)["logit"].isfinite().all()
    assert torch.equal(teacher(**INPUTS)["logit"], before)


def test_layers_are_dropped_evenly():
    teacher = model("bert", num_hidden_layers=6)
    student = shrink(teacher, 3)
    for kept, original in zip(student.encoder.encoder.layer, (0, 2, 4), strict=True):
        expected = teacher.encoder.encoder.layer[original].state_dict()
        for name, value in kept.state_dict().items():
            assert torch.equal(value, expected[name])


def test_layers_that_are_one_layer_cannot_be_dropped():
    with pytest.raises(TrainingError, match=r"albert.*train it with size full"):
        shrink(model("albert"), 1)


@pytest.mark.parametrize("layers", [0, 2, 7])
def test_a_student_has_fewer_layers_and_at_least_one(layers):
    with pytest.raises(TrainingError, match="has 2 layers"):
        shrink(model("bert"), layers)


def test_a_students_labels_are_half_the_teachers_word():
    labelled, unlabelled = tiny_rows(2)
    rows = [replace(labelled, label=1.0), replace(unlabelled, label=math.nan)]
    taught = taught_rows(rows, np.array([0.0, math.log(3)]))
    assert [row.label for row in taught] == pytest.approx([0.75, 0.75])
