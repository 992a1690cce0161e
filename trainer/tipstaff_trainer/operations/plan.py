"""Decides what a training starts from, how it trains, and in which folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tipstaff.types import FIELDS, Field
from tipstaff_server.evaluator.manifest import UnreadText
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.origin import Origin
from tipstaff_trainer.distil.run_folder import open_run
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.encoders.base import Base, find_base
from tipstaff_trainer.encoders.unread import measure_unread
from tipstaff_trainer.operations.origin import base_of
from tipstaff_trainer.operations.readable import check_readable
from tipstaff_trainer.operations.train import TrainingRows, TrainRequest
from tipstaff_trainer.probes.augment import suitable_lengthening, suitable_share
from tipstaff_trainer.progress import Reporter


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training starts from, how it trains, and where.

    Attributes:
        base: The base encoder.
        origin: The evaluator to start from; None to start from the base encoder alone.
        unread: What of the rows the base encoder can't read, by field.
        settings: The settings, resolved for these rows.
        run: The run's folder, for checkpoints and weights.
    """

    base: Base
    origin: Origin | None
    unread: dict[Field, UnreadText]
    settings: ResolvedSettings
    run: Path


def make_plan(
    request: TrainRequest,
    rows: TrainingRows,
    weighted: Sequence[Row],
    out: Path,
    reporter: Reporter,
) -> Plan:
    """Opens what a training starts from, resolves its settings, and opens its folder.

    Args:
        request: What to train, and how.
        rows: The rows.
        weighted: The rows to train on, each weighted by its label's source.
        out: The bundle's folder.
        reporter: Takes notes and warnings.

    Raises:
        TrainingError: The rows can't be trained on with this base encoder or from this evaluator,
            or `out` holds an interrupted run of other rows or settings.
    """
    origin = None if request.start_from is None else Origin.open(request.start_from)
    base = find_base(request.base if origin is None else base_of(request, origin))
    unread = measure_unread(base.tokenizer, weighted, rows.fields)
    check_readable(unread, request, reporter)
    settings = request.resolve(
        rows=len(weighted),
        hidden_size=base.config.hidden_size,
        words=_mean_words(weighted),
        rewritten=suitable_share(weighted),
        lengthened=suitable_lengthening(weighted),
    )
    if origin is not None:
        origin.check(base.info, rows.fields)
        settings = origin.settings(settings)
    every = [*rows.train, *rows.unlabelled]
    identity = "" if origin is None else f"{origin.lineage()}"
    run = open_run(out, every, settings, rows.fields, restart=request.restart, origin=identity)
    return Plan(base, origin, unread, settings, run)


def _mean_words(rows: Sequence[Row]) -> float:
    texts = (row.interaction.get(name) or "" for row in rows for name in FIELDS)
    return sum(len(text.split()) for text in texts) / len(rows)
