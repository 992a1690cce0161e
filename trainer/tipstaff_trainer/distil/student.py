"""A smaller evaluator that learns from a trained one.

Layers are dropped evenly from the trained evaluator, and what is left learns to say what the whole
says, on labelled and unlabelled rows. Hinton et al. 2015, "Distilling the knowledge in a neural
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
from safetensors.torch import load_model, save_model
from scipy.special import expit
from torch import nn

from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.checkpoints import TEACHER_FOLDER, WEIGHTS_FILE, discard_checkpoints
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.inference import torch_logits
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.errors import TrainingError

# How much of a labelled row's target is the teacher's word, the rest being the label's.
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
    """Trains a full evaluator, in a folder of the run, and some of its layers by it.

    Called again after an interruption, it goes on with whichever of the two was being trained.

    Args:
        train: Trains what the first argument starts from, on rows, in a folder.
        start: Makes the full evaluator as it is before the first step.
        labelled: What the full evaluator learns, and the small one after it.
        unlabelled: More rows for the small one.
        size: How many layers to keep; `small` is half of them, rounded up.
        run: The run's folder.
        pad_id: Of the token that fills short rows.

    Raises:
        TrainingError: The encoder can't be made smaller.
    """
    teacher = start().eval()
    layers = (int(teacher.config.num_hidden_layers) + 1) // 2 if size == "small" else size
    shrink(teacher, layers)  # now, so that one that can't be is known before hours of training
    kept = run / TEACHER_FOLDER / WEIGHTS_FILE
    if kept.exists():
        load_model(teacher, str(kept))
    else:
        kept.parent.mkdir(exist_ok=True)
        teacher = train(start, labelled, kept.parent)
        save_model(teacher, str(kept))
        discard_checkpoints(kept.parent)
    encoded = [*labelled.encoded, *unlabelled.encoded]
    logits = torch_logits(teacher, encoded, pad_id=pad_id)
    rows = taught_rows([*labelled.rows, *unlabelled.rows], logits)
    return train(lambda: shrink(teacher, layers), EncodedRows(rows, encoded), run)


def shrink(teacher: EvaluatorModel, layers: int) -> EvaluatorModel:
    """A copy of an evaluator with fewer layers, the first among them.

    Args:
        teacher: A trained evaluator.
        layers: To keep, at least 1 and fewer than the teacher has.

    Raises:
        TrainingError: There are not so many layers to drop, or they are not in a list of their
            own, as ALBERT's, which shares one between all.
    """
    # A trained one is an average, which learns nothing more.
    student = copy.deepcopy(teacher).requires_grad_(True)
    depth = int(student.config.num_hidden_layers)
    stacks = [
        (module, name)
        for module in student.encoder.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == depth
    ]
    if len(stacks) != 1:
        raise TrainingError(
            f"a {student.config.model_type} of {depth} layers can't be made smaller, as its layers "
            "are one: train it with --size full"
        )
    if not 0 < layers < depth:
        raise TrainingError(
            f"--size {layers}: the base encoder has {depth} layers, so a smaller one has 1 to "
            f"{depth - 1}"
        )
    module, name = stacks[0]
    stack = getattr(module, name)
    kept = [index * depth // layers for index in range(layers)]
    setattr(module, name, nn.ModuleList([stack[index] for index in kept]))
    student.config.num_hidden_layers = layers
    return student


def taught_rows(rows: Sequence[Row], logits: npt.NDArray[np.float64]) -> list[Row]:
    """The rows as a student learns them: half of each label is what the teacher says.

    Args:
        rows: Labelled or not; of the latter it is the teacher's word alone.
        logits: The teacher's, shape (n,).
    """
    return [
        replace(
            row, label=row.label + _TEACHER_SHARE * (said - row.label) if row.labelled else said
        )
        for row, said in zip(rows, expit(logits).tolist(), strict=True)
    ]
