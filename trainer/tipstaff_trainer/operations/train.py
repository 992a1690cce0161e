"""Train: from labelled rows to a bundle.

rows → checks → `pipeline`, the first import of torch → bundle → outcomes of named cases
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import field_validator, model_validator

from tipstaff.errors import TipstaffError, UsageError
from tipstaff.types import Field
from tipstaff_server.evaluator.bundle import Bundle
from tipstaff_server.evaluator.cases import Case, Outcome, run_cases
from tipstaff_server.evaluator.manifest import Precision
from tipstaff_server.repository import check_name
from tipstaff_server.requests import setting
from tipstaff_trainer.data import Data, Row, check_split, check_trainable, hold_out, split_rows
from tipstaff_trainer.distil.run_folder import check_out
from tipstaff_trainer.distil.settings import TrainSettings
from tipstaff_trainer.distil.tracking import Tracker, check_tracker
from tipstaff_trainer.errors import DataError, TrainingError
from tipstaff_trainer.operations.few_rows import recommend_start
from tipstaff_trainer.operations.sources import (
    FileData,
    InputFile,
    NamedCases,
    StoredData,
    read_file,
)
from tipstaff_trainer.progress import Reporter

# Fields that name further rows in files; a data set brings its own.
_OF_FILES = ("test_size", "test_file", "unlabelled", "teacher")


class TrainRequest(TrainSettings):
    """What to train, on which rows, and how."""

    name: str = setting(unit="name", description="the evaluator's name: a-z, 0-9 and -")
    data: FileData | StoredData | None = setting(
        None, "the labelled rows; None where they are passed in"
    )
    criterion: str = setting("", "what it judges, in words")
    test_size: float | None = setting(
        None, "keep this share of the rows for testing", gt=0, lt=1, unit="share"
    )
    test_file: InputFile | None = setting(None, "rows for testing", unit="file")
    unlabelled: InputFile | None = setting(
        None, "rows without labels for a small evaluator to learn from too", unit="file"
    )
    teacher: Path | None = setting(
        None,
        "bundle of a full evaluator, with its training folder, for a small one to learn from; "
        "without it one is trained first",
        unit="dir",
    )
    start_from: Path | None = setting(
        None,
        "bundle of an evaluator to start from, with its training folder: an earlier version, "
        "another criterion's or another data set's; its encoding is taken along",
        title="Start from",
        local=True,
        unit="dir",
    )
    previous: Path | None = setting(
        None,
        "bundle of the version before, to compare with on rows that it was not trained on",
        local=True,
        unit="dir",
    )
    precisions: tuple[Precision, ...] = setting(
        ("int8",),
        "graphs to export: int8 for CPUs, fp16 for GPUs, fp32 to compare",
        min_length=1,
        unit="precision",
    )
    golden: int = setting(
        8,
        "interactions in the bundle that servers score at start to check themselves",
        ge=0,
        unit="interactions",
    )
    golden_texts: Literal["made-up", "rows"] = setting(
        "made-up", "their texts: made up, or rows of the data, word for word, for all who get it"
    )
    cases: NamedCases | None = setting(
        None,
        "YAML of named cases to store in the bundle; a promotion that loses one is refused",
        local=True,
        unit="file",
    )
    allow_unreadable: bool = setting(
        False,
        "train even if the encoder can't read much of the text; such outputs never pass",
        title="Allow text that the encoder can't read",
    )
    relabel: bool = setting(
        False,
        "first correct the judge's labels using people's labels of rows drawn at random, at least "
        "50 and better 200; stored labels don't change",
        title="Relabel: correct the judge's labels using reviews",
        common=True,
    )
    traffic: str = setting(
        "",
        "the evaluator whose reviewed traffic joins the rows: what it got wrong weighs more, and a "
        "fifth is held out for testing",
        title="Reviewed traffic of",
        unit="name",
    )
    tracker: Tracker = setting(
        "none", "where else the run's numbers go, if its package is installed"
    )
    restart: bool = setting(False, "discard an interrupted run", local=True)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        try:
            check_name(name)
        except TipstaffError as error:
            raise ValueError(error.message) from None
        return name

    @model_validator(mode="after")
    def _check_combinations(self) -> TrainRequest:
        if self.test_size is not None and self.test_file is not None:
            raise UsageError(
                "there are test rows already", field="test_file", remedy="leave {test_size} out"
            )
        if self.size == "full":
            for name, reason in (
                ("unlabelled", "only a small evaluator learns from rows without labels"),
                ("teacher", "only a small evaluator has one"),
            ):
                if getattr(self, name) is not None:
                    raise UsageError(reason, field=name, remedy="add {size} small")
        for name in ("teacher", "start_from", "previous"):
            folder = getattr(self, name)
            if folder is not None and not folder.is_dir():
                raise UsageError("no such folder", field=name, value=str(folder))
        if isinstance(self.data, StoredData):
            for name in _OF_FILES:
                if getattr(self, name) is not None:
                    raise UsageError("is for rows in files", field=name)
        else:
            for name in ("relabel", "traffic"):
                if getattr(self, name):
                    raise UsageError("is for a workspace's data set", field=name)
        return self


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The rows of a training.

    Attributes:
        train: Labelled rows; part of them becomes the validation split.
        fields: The fields that the evaluator reads.
        test: Labelled rows that only the final measurement uses.
        unlabelled: More rows for a small evaluator, which learns the full one's scores of them;
            rows that share a group with validation or test rows are left out.
        traffic: Reviewed rows of traffic that no training sees, to measure the version on.
    """

    train: Sequence[Row]
    fields: Sequence[Field]
    test: Sequence[Row] = ()
    unlabelled: Sequence[Row] = ()
    traffic: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained evaluator.

    Attributes:
        bundle: Its bundle.
        outcomes: The outcomes of its named cases.
    """

    bundle: Bundle
    outcomes: Sequence[Outcome]

    @classmethod
    def of(cls, bundle: Bundle, cases: Sequence[Case] | None) -> Trained:
        """Runs the named cases on a finished bundle."""
        from tipstaff_server.evaluator import Evaluator

        return cls(bundle, run_cases(Evaluator.load(bundle.path), cases) if cases else ())


def train(
    request: TrainRequest,
    rows: Callable[[], TrainingRows],
    out: Path,
    reporter: Reporter | None = None,
) -> Trained:
    """Trains an evaluator and writes its bundle.

    After an interruption, the same request and rows resume from the last checkpoint in
    `out/training`.

    Args:
        request: What to train, and how.
        rows: Reads the rows; called after the checks that need no rows.
        out: The bundle's folder: new, empty or an interrupted run's.
        reporter: Takes notes and warnings.

    Raises:
        DataError: The rows, or those left after the validation split, can't be trained on.
        TrainingError: `out` is taken, the base encoder can't be trained, or the tracker can't
            start.
        ExportError: The trained model can't be exported, or not faithfully.
    """
    reporter = reporter or Reporter()
    check_out(out)
    check_tracker(request.tracker)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError(
            "started in several processes, as by torchrun", remedy="start it once: it uses all GPUs"
        )
    source = rows()
    factors = {
        "human": request.human_weight,
        "judge": request.judge_weight,
        "other": request.other_weight,
    }
    weighted = [replace(row, weight=row.weight * factors[row.label_source]) for row in source.train]
    for warning in check_trainable(weighted):
        reporter.warn(warning)

    # Only now, since torch takes seconds to import.
    from tipstaff_trainer.operations.pipeline import run_pipeline

    # A row of weight 0 must count in no measurement and no calibration either.
    weighted = [row for row in weighted if row.weight > 0]
    return Trained.of(run_pipeline(request, source, weighted, out, reporter), request.cases)


def read_training_rows(request: TrainRequest, reporter: Reporter) -> TrainingRows:
    """Reads the files of a request: rows to train on, to test on, and without labels.

    Raises:
        DataError: A file can't be used, or leaves no row to train on.
    """
    assert isinstance(request.data, FileData)
    data = _read(request.data, reporter)
    train, test = _split(data, request, reporter)
    if request.start_from is None:
        recommend_start(request, len(train), data.columns, reporter)
    unlabelled: list[Row] = []
    if request.unlabelled is not None:
        mapping = request.data.mapping
        more = FileData(data=request.unlabelled, columns=data.columns, mapping=mapping)
        unlabelled = _read(more, reporter, labelled=False).rows
    return TrainingRows(train, data.columns, test, unlabelled)


def _split(
    data: Data, request: TrainRequest, reporter: Reporter
) -> tuple[Sequence[Row], Sequence[Row]]:
    """Rows to train on and rows to test on."""
    if request.test_size is not None:
        train, test = split_rows(data.rows, request.test_size, seed=request.seed)
        for warning in check_split(train, test, request.test_size, name="test"):
            reporter.warn(warning)
        return train, test
    if request.test_file is None:
        return data.rows, ()
    assert isinstance(request.data, FileData)
    held_out = _read(request.data.model_copy(update={"data": request.test_file}), reporter)
    train, test, notes = hold_out(data, held_out)
    for note in notes:
        reporter.warn(note)
    if not train:
        raise DataError(
            f"{data.file}: no row is left to train on, since each shares its group or its texts "
            f"with a row of {held_out.file}",
            remedy="give other test rows, or {test_size} in place of {test_file}",
        )
    return train, test


def _read(source: FileData, reporter: Reporter, *, labelled: bool = True) -> Data:
    data = read_file(source, labelled=labelled)
    # Report at once: a note may explain a later error.
    for note in data.notes:
        reporter.note(note)
    for warning in data.warnings:
        reporter.warn(warning)
    return data
