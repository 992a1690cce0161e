"""Trains the model of a run, unless its weights are there already."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tipstaff_trainer.distil.checkpoints import WEIGHTS_FILE
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.inference import torch_logit_parts
from tipstaff_trainer.distil.lexical import LexicalFit, LexicalHead, fit_lexical, fit_scale
from tipstaff_trainer.distil.model import EvaluatorModel
from tipstaff_trainer.distil.student import Start, layers_of, shrink, train_small
from tipstaff_trainer.distil.tracking import Tracker
from tipstaff_trainer.distil.training import train_model
from tipstaff_trainer.distil.weights import load_weights, save_weights
from tipstaff_trainer.operations.plan import Plan
from tipstaff_trainer.operations.split import FitData
from tipstaff_trainer.probes.kinds import kinds_of
from tipstaff_trainer.progress import Reporter


def distil(
    plan: Plan, fit_data: FitData, *, evidence: bool, tracker: Tracker, reporter: Reporter
) -> EvaluatorModel:
    """Trains the model, or loads the weights where its training is complete.

    Args:
        plan: What the run starts from, how it trains, and where.
        fit_data: The encoded rows.
        evidence: Whether the rows come with lexical evidence.
        tracker: Where else the run's numbers go.
        reporter: Takes notes and warnings.

    Returns:
        The model, in evaluation mode on the CPU.

    Raises:
        TrainingError: The base encoder can't be loaded or made smaller, the weights to start from
            don't fit it, or the tracker can't start.
    """
    rows = fit_data.train.one_pass()
    fit = fit_lexical(rows.rows, rows.encoded) if evidence else None
    start = partial(_untrained, plan, fit)
    weights = plan.run / WEIGHTS_FILE
    if weights.exists():
        model = _load_trained(plan, start)
        reporter.note(f"the model is trained already: its weights are in {weights}")
        return model
    model = _train(plan, fit_data, start, tracker, reporter)
    # With reference answers among them, a larger scale lets denied truths pass more often.
    if model.lexical_head is not None and kinds_of(rows.rows).all == ("context",):
        _scale_evidence(model, model.lexical_head, fit_data.validation, plan.base.special.pad)
    save_weights(model, plan.run)
    return model


def _scale_evidence(
    model: EvaluatorModel, head: LexicalHead, validation: EncodedRows, pad_id: int
) -> None:
    """Lets lexical evidence count as far as the validation rows say."""
    parts = torch_logit_parts(model, validation.encoded, pad_id=pad_id)
    head.scale(fit_scale(validation.rows, validation.encoded, parts))


def _untrained(plan: Plan, fit: LexicalFit | None) -> EvaluatorModel:
    """The model before the first step."""
    settings = plan.settings
    encoder = plan.base.load(dropout=settings.dropout)
    lexical = None if fit is None else LexicalHead(encoder.config.hidden_size, fit)
    model = EvaluatorModel(encoder, marks=settings.marks, dropout=settings.dropout, lexical=lexical)
    return model if plan.origin is None else plan.origin.load(model)


def _load_trained(plan: Plan, start: Start) -> EvaluatorModel:
    model = start().eval()
    if plan.settings.size != "full":
        model = shrink(model, layers_of(model, plan.settings.size))
    load_weights(model, plan.run)
    return model


def _train(
    plan: Plan, fit_data: FitData, start: Start, tracker: Tracker, reporter: Reporter
) -> EvaluatorModel:
    settings, pad_id = plan.settings, plan.base.special.pad

    def train(start: Start, training: EncodedRows, folder: Path) -> EvaluatorModel:
        return train_model(
            start,
            training,
            fit_data.validation,
            settings,
            folder,
            pad_id=pad_id,
            tracker=tracker,
            reporter=reporter,
        )

    if settings.size == "full":
        return train(start, fit_data.train, plan.run)
    return train_small(
        train,
        start,
        fit_data.train,
        fit_data.unlabelled,
        size=settings.size,
        run=plan.run,
        pad_id=pad_id,
    )
