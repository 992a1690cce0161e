"""Distils a trained evaluator into a smaller one.

Layers are dropped evenly from the trained evaluator, and the others learn to give the scores of the
whole, on labelled and unlabelled rows. Hinton et al. 2015, "Distilling the knowledge in a neural
network"; the start from the teacher's own layers is DistilBERT's (Sanh et al. 2019).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from torch import nn

from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.checkpoints import TEACHER_FOLDER
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.weights import load_weights, save_weights
from tipstaff_trainer.errors import TrainingError

# The teacher's share of a labelled row's target; the rest is the label's.
_TEACHER_SHARE = 0.5

Start = Callable[[], EvaluatorModel]


def train_small(
    train: Callable[[Start, EncodedRows, Path], EvaluatorModel],
    start: Start,
    labelled: EncodedRows,
    unlabelled: EncodedRows,
    *,
    size: Literal["small"] | int,
    run: Path,
    pad_id: int,
) -> EvaluatorModel:
    """Trains a full evaluator, then a smaller one of some of its layers with it as the teacher.

    Called again after an interruption, it resumes the training of the one that was interrupted.

    Args:
        train: Trains the model that its first argument makes, on rows, in a folder.
        start: Makes the full evaluator as it is before the first step.
        labelled: The rows that both evaluators learn.
        unlabelled: More rows for the small one.
        size: The number of layers of the small one; see `layers_of`.
        run: The run's folder; the full evaluator's run is a folder in it.
        pad_id: The padding token's id.

    Raises:
        TrainingError: The encoder can't be made smaller.
    """
    teacher = start().eval()
    layers = layers_of(teacher, size)
    shrink(teacher, layers)  # an error comes now rather than after hours of training
    folder = run / TEACHER_FOLDER
    if not load_weights(teacher, folder):
        folder.mkdir(exist_ok=True)
        teacher = train(start, labelled, folder)
        save_weights(teacher, folder)
    both = labelled.with_rows(unlabelled)
    logits = torch_logits(teacher, both.encoded, pad_id=pad_id)
    taught = both.with_labels_of(taught_rows(both.rows, logits))
    return train(lambda: shrink(teacher, layers), taught, run)


def layers_of(teacher: EvaluatorModel, size: Literal["small"] | int) -> int:
    """The number of layers of a smaller evaluator; `small` is half of them, rounded up."""
    return (int(teacher.config.num_hidden_layers) + 1) // 2 if size == "small" else size


def shrink(teacher: EvaluatorModel, layers: int) -> EvaluatorModel:
    """A copy of an evaluator with some of its layers, the first among them.

    Args:
        teacher: A trained evaluator.
        layers: The number of layers to keep, at least 1 and fewer than the teacher has.

    Raises:
        TrainingError: The teacher has too few layers, or they are not in a list, as in ALBERT,
            whose layers share their weights.
    """
    # A trained evaluator is an average, whose weights take no gradients.
    student = copy.deepcopy(teacher).requires_grad_(True)
    depth = int(student.config.num_hidden_layers)
    stacks = [
        (module, name)
        for module in student.encoder.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == depth
    ]
    if len(stacks) != 1:
        message = f"{student.config.model_type} can't be made smaller: its layers are not separate"
        raise TrainingError(message, field="size", remedy="train it with {size} full")
    if not 0 < layers < depth:
        message = f"the base encoder has {depth} layers, so a smaller one has 1 to {depth - 1}"
        raise TrainingError(message, field="size", value=str(layers))
    module, name = stacks[0]
    stack = getattr(module, name)
    indices = [index * depth // layers for index in range(layers)]
    setattr(module, name, nn.ModuleList([stack[index] for index in indices]))
    student.config.num_hidden_layers = layers
    return student


def taught_rows(rows: Sequence[Row], logits: npt.NDArray[np.float64]) -> list[Row]:
    """The rows with the labels that the student learns: means of label and teacher's score.

    Args:
        rows: Labelled or not; those without a label get the teacher's score.
        logits: The teacher's logits, shape (n,).
    """
    taught = []
    for row, score in zip(rows, expit(logits).tolist(), strict=True):
        label = row.label + _TEACHER_SHARE * (score - row.label) if row.labelled else score
        taught.append(replace(row, label=label))
    return taught
