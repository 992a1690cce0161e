"""The training loop, by the transformers Trainer."""

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
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import EvalPrediction

from tipstaff_trainer.distil.averaging import AveragingModel
from tipstaff_trainer.distil.checkpoints import (
    METRICS_FILE,
    checkpoints_folder,
    prepare_resuming,
)
from tipstaff_trainer.distil.data_parallel import DataParallel, Tensors
from tipstaff_trainer.distil.dataset import Collator, EncodedRows
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.sampling import GroupedSampler
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.distil.tracking import Tracker, tracker_callbacks, tracking_arguments
from tipstaff_trainer.evaluation.calibration import calibrated_loss
from tipstaff_trainer.evaluation.metrics import classification_metrics
from tipstaff_trainer.progress import Reporter, progress

# Per run, so that early stopping waits for the same share of a short run and of a long one.
_EVALUATIONS = 8


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
        settings: The run's.
        folder: For checkpoints and `metrics.jsonl`, one JSON object a line.
        pad_id: The padding token's.
        tracker: Where else the numbers go.
        reporter: Takes warnings.

    Returns:
        The average of the weights so far (`averaging`), as it stood when it was best on the
        validation rows by its loss once calibrated; in evaluation mode on the CPU.

    Raises:
        TrainingError: The tracker can't start.
    """
    transformers.set_seed(settings.seed)
    started = start()
    started.encoder.get_input_embeddings().requires_grad_(not settings.freeze_words)
    model = AveragingModel(started)
    validation = validation.by_length()
    # The Trainer gives each GPU a batch of its own.
    rows_per_step = settings.batch_size * max(1, torch.cuda.device_count())
    steps_per_epoch = math.ceil(len(training.encoded) / rows_per_step)
    trainer = _EvaluatorTrainer(
        head_rate_factor=settings.head_rate_factor,
        # Threads draw from one generator as they come, so that no run could be repeated.
        cores=DataParallel(threads=1 if settings.dropout else None),
        model=model,
        args=_arguments(settings, folder, steps_per_epoch),
        train_dataset=training,
        eval_dataset=validation,
        data_collator=Collator(pad_id),
        compute_metrics=partial(
            _validation_metrics, np.array([row.weight for row in validation.rows])
        ),
        callbacks=[
            *tracker_callbacks(tracker, reporter or Reporter()),
            _Averaging(),
            EarlyStoppingCallback(early_stopping_patience=settings.patience),
            _Progress(folder / METRICS_FILE),
        ],
    )
    # Ours shows loss and validation in one line, where the library's prints dictionaries.
    trainer.remove_callback(transformers.trainer_callback.ProgressCallback)  # type: ignore[no-untyped-call]
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)  # type: ignore[no-untyped-call]
    checkpoint = prepare_resuming(folder)
    if checkpoint is not None:
        (reporter or Reporter()).note(f"resuming from {checkpoint}")
    with trainer.cores:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    return model.average.cpu().eval()


class _EvaluatorTrainer(Trainer):
    """The Trainer with batches that keep groups together, and a higher rate for the head."""

    def __init__(self, *, head_rate_factor: float, cores: DataParallel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._head_rate_factor = head_rate_factor
        self.cores = cores

    def training_step(
        self, model: nn.Module, inputs: Tensors, num_items_in_batch: Tensor | None = None
    ) -> Tensor:
        if not self.args.use_cpu:
            step: Tensor = super().training_step(model, inputs, num_items_in_batch)
            return step
        model.train()
        return self.cores.backward(model, inputs)

    def prediction_step(
        self,
        model: nn.Module,
        inputs: Tensors,
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor | None, Any, Tensor | None]:
        if not self.args.use_cpu:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
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
                group["params"] = [each for each in group["params"] if id(each) not in head_params]
                rate = group["lr"] * self._head_rate_factor
                optimizer.add_param_group(
                    {"params": head_group, "lr": rate, "weight_decay": group["weight_decay"]}
                )
        return optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> GroupedSampler:
        rows = cast(EncodedRows, train_dataset or self.train_dataset)
        return GroupedSampler(
            [row.group or row.id for row in rows.rows],
            [len(encoded) for encoded in rows.encoded],
            batch_size=self.args.train_batch_size,
            seed=self.args.seed,
        )


def bf16_is_quick() -> bool:
    """Whether this machine multiplies bfloat16 in hardware, rather than by emulation."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Private, hence the care; there is no public way to ask.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def _arguments(settings: ResolvedSettings, folder: Path, steps_per_epoch: int) -> TrainingArguments:
    every = max(1, round(settings.epochs * steps_per_epoch / _EVALUATIONS))
    # An earlier run of this process leaves its precision there, and this run would take it over.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    return TrainingArguments(
        output_dir=str(checkpoints_folder(folder)),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(settings.batch_size, 32),
        warmup_ratio=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        bf16=bf16_is_quick() if settings.bf16 is None else settings.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,
        load_best_model_at_end=True,
        # Else early stopping forgets at an interruption how long it has waited.
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model="calibrated_loss",
        greater_is_better=False,
        logging_steps=1,
        logging_first_step=True,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        **tracking_arguments(folder),
    )


def _validation_metrics(
    weights: npt.NDArray[np.float64], prediction: EvalPrediction
) -> dict[str, float]:
    # The model's outputs in its order, after the loss: logit and embedding.
    logits = np.asarray(prediction.predictions[0], dtype=float)
    labels = np.asarray(prediction.label_ids, dtype=float)
    metrics = classification_metrics(labels, expit(logits))
    logged = {name: metrics[name] for name in ("accuracy", "roc_auc")}
    return {
        "calibrated_loss": calibrated_loss(logits, labels, weights),
        **{name: value for name, value in logged.items() if value is not None},
    }


class _Averaging(TrainerCallback):
    """Takes each step's weights into the average."""

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: AveragingModel | None = None,
        **_: Any,
    ) -> None:
        cast(AveragingModel, model).update()


class _Progress(TrainerCallback):
    """A progress bar for people and a line of JSON a step for programs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._bar: tqdm[Any] | None = None
        self._postfix: dict[str, str] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._bar = progress(
            total=state.max_steps, initial=state.global_step, desc="training", unit="step"
        )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **logs}) + "\n")
        names = {
            "loss": "loss",
            "eval_calibrated_loss": "validation loss",
            "eval_roc_auc": "AUROC",
        }
        self._postfix |= {names[key]: f"{logs[key]:.3f}" for key in names if key in logs}
        if self._bar is not None:
            self._bar.set_postfix(self._postfix, refresh=False)
            self._bar.update(state.global_step - self._bar.n)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        # The last steps are the most settled, and seldom fall on an evaluation.
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._bar is not None:
            self._bar.close()
