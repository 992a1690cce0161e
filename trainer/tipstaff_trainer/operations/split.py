"""Splits the rows of a training by their use, and encodes them as each use reads them.

    split → row encoders → encoded parts → fit data

The encoded parts calibrate and measure the evaluator; the training loop reads the fit data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tipstaff.types import Field
from tipstaff_server.evaluator.encoding import Encoder
from tipstaff_server.evaluator.evidence import EvidenceMeter
from tipstaff_server.evaluator.framing import Framing
from tipstaff_server.evaluator.manifest import FRAMING_FILE, Encoding
from tipstaff_trainer.data import Row, check_split, split_rows, without_groups_of
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.encoders.evidence import count_words
from tipstaff_trainer.operations.encoding import (
    choose_encoding,
    practice_encoding,
    searched,
    warn_of_unread,
    with_rewritten,
)
from tipstaff_trainer.operations.origin import warn_of_seen
from tipstaff_trainer.operations.plan import Plan
from tipstaff_trainer.operations.train import TrainingRows
from tipstaff_trainer.probes.framing import choose_framing, fit_framing
from tipstaff_trainer.progress import Reporter


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of a run by their use.

    Attributes:
        train: Rows that the weights are fitted to.
        validation: Rows that choose the best step, calibrate the evaluator and measure it.
        test: Rows that only measure it.
        unlabelled: More rows for a small evaluator to learn from.
    """

    train: Sequence[Row]
    validation: Sequence[Row]
    test: Sequence[Row]
    unlabelled: Sequence[Row]


@dataclass(frozen=True, slots=True)
class RowEncoders:
    """How the rows of a run become token ids.

    Attributes:
        serving: As on a server: for rows that measure.
        practice: For rows that are learnt from; see `practice_encoding`.
        meter: Measures the lexical evidence for both; None if they take none.
        framing: Tells what is skipped around outputs in serving; None if nothing is.
    """

    serving: Encoder
    practice: Encoder
    meter: EvidenceMeter | None
    framing: Framing | None

    @property
    def encoding(self) -> Encoding:
        """The evaluator's encoding."""
        return self.serving.encoding


@dataclass(frozen=True, slots=True)
class FitData:
    """Encoded rows for the training loop.

    Attributes:
        train: Rows that the weights are fitted to, and what is rewritten of them.
        validation: Rows that choose the best step, and what is rewritten of them.
        unlabelled: More rows for a small evaluator to learn from.
    """

    train: EncodedRows
    validation: EncodedRows
    unlabelled: EncodedRows


def split_by_use(
    rows: TrainingRows, weighted: Sequence[Row], settings: ResolvedSettings, reporter: Reporter
) -> Split:
    """Splits the validation rows off the rows to train on.

    Unlabelled rows that share a group or texts with validation or test rows are left out.

    Args:
        rows: The rows.
        weighted: The rows to train on, each weighted by its label's source.
        settings: The run's settings.
        reporter: Takes warnings.

    Raises:
        DataError: The validation split takes all rows of one class.
    """
    train, validation = split_rows(weighted, settings.validation_size, seed=settings.seed)
    for warning in check_split(train, validation, settings.validation_size):
        reporter.warn(warning)
    unlabelled = without_groups_of(rows.unlabelled, [*validation, *rows.test])
    return Split(train, validation, rows.test, unlabelled)


def make_encoders(
    plan: Plan, split: Split, fields: Sequence[Field], reporter: Reporter
) -> RowEncoders:
    """Chooses how the rows are read; a run that starts from an evaluator reads them as it does.

    Args:
        plan: What the run starts from, and its settings.
        split: The rows.
        fields: The fields to read.
        reporter: Takes warnings.
    """
    base, origin = plan.base, plan.origin
    encoding = choose_encoding(base, split.train, fields, plan.settings, reporter)
    if origin is not None:
        encoding = origin.encoding(encoding, plan.settings)
        warn_of_seen(origin, {"validation": split.validation, "test": split.test}, reporter)
        meter = origin.meter
    else:
        meter = None if encoding.evidence is None else count_words(base.tokenizer, split.train)
    framing = _choose_framing(split.train, fields, plan.settings)
    if framing is not None:
        encoding = encoding.model_copy(update={"framing": FRAMING_FILE})
    tokenizer = base.tokenizer.to_str()
    return RowEncoders(
        serving=Encoder(tokenizer, encoding, meter, framing),
        practice=Encoder(tokenizer, practice_encoding(encoding), meter),
        meter=meter,
        framing=framing,
    )


def _choose_framing(
    rows: Sequence[Row], fields: Sequence[Field], settings: ResolvedSettings
) -> Framing | None:
    """What tells the framing to skip; None if it is to be read."""
    if settings.skip_framing is False or "output" not in fields:
        return None
    make = fit_framing if settings.skip_framing else choose_framing
    return make(rows, seed=settings.seed)


def encode_parts(
    split: Split, encoders: RowEncoders, settings: ResolvedSettings, reporter: Reporter
) -> dict[str, EncodedRows]:
    """Encodes the labelled rows; those to train on come with what is rewritten of them.

    Returns:
        By name of the part: `train`, `validation` and perhaps `test`.
    """
    parts = {"train": EncodedRows.of(split.train, encoders.practice)} | {
        name: EncodedRows.of(rows, encoders.serving)
        for name, rows in {"validation": split.validation, "test": split.test}.items()
        if rows
    }
    warn_of_unread(parts, reporter)
    parts["train"] = with_rewritten(parts["train"], encoders.practice, settings, learnt=True)
    return parts


def make_fit_data(
    parts: Mapping[str, EncodedRows],
    unlabelled: Sequence[Row],
    encoders: RowEncoders,
    settings: ResolvedSettings,
) -> FitData:
    """Narrows long rows to the runs that training searches, and encodes the unlabelled rows.

    Args:
        parts: Encoded labelled rows; see `encode_parts`.
        unlabelled: More rows for a small evaluator.
        encoders: How rows are read.
        settings: The run's settings.
    """
    # The best step is best with rewritten rows too; calibration and figures are of plain ones.
    selecting = with_rewritten(parts["validation"], encoders.serving, settings, learnt=False)
    return FitData(
        train=searched(parts["train"]),
        validation=searched(selecting),
        unlabelled=EncodedRows.of(unlabelled, encoders.practice),
    )
