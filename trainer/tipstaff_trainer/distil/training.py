"""The training loop: the transformers Trainer, with the batches and averages of an evaluator."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import transformers
from scipy.special import expit
from torch import Tensor, nn
from tqdm import tqdm
from transformers import TrainerCallback, TrainerState, TrainingArguments
from transformers.trainer_utils import EvalPrediction

from tipstaff_trainer.distil.averaging import AveragingModel
from tipstaff_trainer.distil.checkpoints import METRICS_FILE, checkpoints_folder, prepare_resuming
from tipstaff_trainer.distil.data_parallel import DataParallel, Tensors
from tipstaff_trainer.distil.dataset import Collator, EncodedRows
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.sampling import GroupedSampler
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.distil.tracking import Tracker, tracker_callbacks, tracking_arguments
from tipstaff_trainer.evaluation.calibration import calibrated_loss
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.progress import Reporter, progress

# In a run of any length, so that early stopping waits for the same share of short and long runs.
_EVALUATIONS = 8
# The logged numbers that stand beside the progress bar, and their names there.
_BAR_NAMES = {"loss": "loss", "eval_calibrated_loss": "validation loss", "eval_roc_auc": "AUROC"}


def train_model(
    start: Callable[[], EvaluatorModel],
    training: EncodedRows,
    validation: EncodedRows,
    settings: ResolvedSettings,
    folder: Path,
    *,
    pad_id: int,
    tracker: Tracker = "none",
    reporter: Reporter | None = None,
) -> EvaluatorModel:
    """Fits an evaluator, or resumes a run that was interrupted in `folder`.

    Args:
        start: Makes the model as it is before the first step; called once the seed is set.
        training: The rows that the weights are fitted to.
        validation: The rows that stop the training early.
        settings: The run's settings.
        folder: The folder for checkpoints and `metrics.jsonl`, one JSON object a line.
        pad_id: The padding token's id.
        tracker: Where the numbers go besides `metrics.jsonl`.
        reporter: Takes notes and warnings.

    Returns:
        The average of the weights (`averaging`) at the evaluation with the lowest calibrated loss
        on the validation rows; in evaluation mode on the CPU.

    Raises:
        TrainingError: The tracker can't start.
    """
    reporter = reporter or Reporter()
    transformers.set_seed(settings.seed)
    model = AveragingModel(start())
    model.current.encoder.get_input_embeddings().requires_grad_(not settings.freeze_words)
    validation = validation.by_length()
    # The Trainer gives each GPU a batch of its own.
    rows_per_step = settings.batch_size * max(1, torch.cuda.device_count())
    steps_per_epoch = math.ceil(len(training.passes[0]) / rows_per_step)
    trainer = _EvaluatorTrainer(
        head_rate_factor=settings.head_rate_factor,
        # With dropout, threads would draw from one generator in any order: not repeatable.
        cores=DataParallel(threads=1 if settings.dropout else None),
        model=model,
        args=_arguments(settings, folder, steps_per_epoch),
        train_dataset=training,
        eval_dataset=validation,
        data_collator=Collator(pad_id),
        compute_metrics=partial(_metrics, np.array([row.weight for row in validation.rows])),
        callbacks=[
            *tracker_callbacks(tracker, reporter),
            _Averaging(),
            transformers.EarlyStoppingCallback(early_stopping_patience=settings.patience),
            _Progress(folder / METRICS_FILE),
        ],
    )
    # Ours shows loss and validation in one line; the library's prints dictionaries.
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)  # type: ignore[no-untyped-call]
    checkpoint = prepare_resuming(folder)
    if checkpoint is not None:
        reporter.note(f"resuming from {checkpoint}")
    with trainer.cores:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return model.average.cpu().eval()


class _EvaluatorTrainer(transformers.Trainer):
    """The Trainer with parallel cores, grouped batches and a higher rate for the head."""

    def __init__(self, *, head_rate_factor: float, cores: DataParallel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._head_rate_factor = head_rate_factor
        self.cores = cores

    def training_step(
        self, model: nn.Module, inputs: Tensors, *rest: Any, **options: Any
    ) -> Tensor:
        if not self.args.use_cpu:
            return super().training_step(model, inputs, *rest, **options)
        model.train()
        return self.cores.backward(model, inputs)

    def prediction_step(
        self, model: nn.Module, inputs: Tensors, *rest: Any, **options: Any
    ) -> tuple[Tensor | None, Any, Tensor | None]:
        if not self.args.use_cpu:
            return super().prediction_step(model, inputs, *rest, **options)
        model.eval()
        outputs = self.cores.forward(model, inputs)
        return outputs["loss"], (outputs["logit"], outputs["embedding"]), inputs["labels"]

    def create_optimizer(self) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = super().create_optimizer()  # type: ignore[no-untyped-call]
        model = cast(AveragingModel, self.model).current
        head_params = {id(each) for each in model.head_parameters()}
        for group in list(optimizer.param_groups):
            head_group = [each for each in group["params"] if id(each) in head_params]
            if head_group:
                rate, decay = group["lr"] * self._head_rate_factor, group["weight_decay"]
                group["params"] = [each for each in group["params"] if id(each) not in head_params]
                optimizer.add_param_group({"params": head_group, "lr": rate, "weight_decay": decay})
        return optimizer

    def _get_train_sampler(self, *_: Any) -> GroupedSampler:
        data = cast(EncodedRows, self.train_dataset)
        groups = [row.group or row.id for row in data.rows]
        lengths = [len(encoded) for encoded in data.encoded]
        size, seed = self.args.train_batch_size, self.args.seed
        return GroupedSampler(groups, lengths, batch_size=size, seed=seed, passes=data.passes)


def bf16_is_quick() -> bool:
    """Whether this machine multiplies bfloat16 in hardware, rather than by emulation."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # These are private, and there is no public function: a release may lack them.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def _arguments(settings: ResolvedSettings, folder: Path, steps_per_epoch: int) -> TrainingArguments:
    every = max(1, round(settings.epochs * steps_per_epoch / _EVALUATIONS))
    # An earlier run of this process leaves its precision there, which this run would use.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    return TrainingArguments(
        output_dir=str(checkpoints_folder(folder)),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(settings.batch_size, 32),
        warmup_ratio=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        bf16=bf16_is_quick() if settings.bf16 is None else settings.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,
        load_best_model_at_end=True,
        # Without it, early stopping forgets at an interruption how long it has waited.
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model="calibrated_loss",
        greater_is_better=False,
        logging_steps=1,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        **tracking_arguments(folder),
    )


def _metrics(weights: npt.NDArray[np.float64], prediction: EvalPrediction) -> dict[str, float]:
    """The metrics of the validation rows, from their weights and the model's outputs."""
    # The outputs are in the model's order, after the loss: logit and embedding.
    logits = np.asarray(prediction.predictions[0], dtype=float)
    labels = np.asarray(prediction.label_ids, dtype=float)
    metrics = classification_metrics(labels, expit(logits))
    logged = {"calibrated_loss": calibrated_loss(logits, labels, weights)}
    for name in ("accuracy", "roc_auc"):
        if (value := metrics[name]) is not None:
            logged[name] = value
    return logged


class _Averaging(TrainerCallback):
    """Adds each step's weights to the average."""

    def on_step_end(self, args: Any, state: Any, control: Any, **context: Any) -> None:
        cast(AveragingModel, context["model"]).update()


class _Progress(TrainerCallback):
    """A progress bar for people, and a line of JSON for each step for programs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._bar: tqdm[Any] = tqdm(disable=True)
        self._postfix: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        step, steps = state.global_step, state.max_steps
        self._bar = progress(total=steps, initial=step, desc="training", unit="step")

    def on_log(self, args: Any, state: TrainerState, control: Any, **context: Any) -> None:
        logs: dict[str, float] = context["logs"]
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **logs}) + "\n")
        self._postfix |= {_BAR_NAMES[key]: f"{logs[key]:.3f}" for key in _BAR_NAMES if key in logs}
        self._bar.set_postfix(self._postfix, refresh=False)
        self._bar.update(state.global_step - self._bar.n)

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        # The last steps are the most settled, and seldom fall on an evaluation.
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.close()
