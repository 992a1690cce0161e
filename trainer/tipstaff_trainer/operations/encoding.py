"""How a training run reads its rows: the encoding, and the rows that are made of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tipstaff.types import Field
from tipstaff_server.evaluator.encoding import Encoded, Encoder
from tipstaff_server.evaluator.evidence import SHARE_OF_OUTPUT
from tipstaff_server.evaluator.layout import COMPARED
from tipstaff_server.evaluator.manifest import EVIDENCE_FILE, Encoding
from tipstaff_trainer.data import Row
from tipstaff_trainer.distil.dataset import EncodedRows
from tipstaff_trainer.distil.settings import ResolvedSettings
from tipstaff_trainer.distil.window_sizes import choose_windows
from tipstaff_trainer.encoders.base import Base
from tipstaff_trainer.operations.readable import warn_of_unreadable
from tipstaff_trainer.probes.augment import training_passes
from tipstaff_trainer.progress import Reporter

# The fields' order in a run: what is judged comes first, next to what it is judged by.
_ORDER: tuple[Field, ...] = ("output", "ground_truth", "input")
# Passes over the data that show rewritten rows of their own: they are encoded before the first.
_MOST_PASSES = 10
# Of a long row, training searches the windows that are nearest in wording to each part of the
# output: which of all decides hardly changes, and searching them would take most of the time.
_SEARCHED_WINDOWS = 2


def choose_encoding(
    base: Base,
    rows: Sequence[Row],
    fields: Sequence[Field],
    settings: ResolvedSettings,
    reporter: Reporter,
) -> Encoding:
    """The encoding of a run that starts from a base encoder.

    Args:
        base: The base encoder.
        rows: The rows that the weights will be fitted to.
        fields: The fields to read.
        settings: The run's settings.
        reporter: Takes warnings.
    """
    max_length = min(settings.max_length, base.max_length)
    if max_length < settings.max_length:
        reporter.warn(f"{base.info.name} reads at most {max_length} tokens: used as the maximum")
    encoding = Encoding(
        order=tuple(name for name in _ORDER if name in fields),
        marks=settings.marks,
        max_length=max_length,
        cls_id=base.special.cls,
        sep_id=base.special.sep,
        pad_id=base.special.pad,
        evidence=EVIDENCE_FILE if settings.evidence and set(COMPARED) <= set(fields) else None,
        fold_look_alikes=True,
    )
    windows = choose_windows(rows, Encoder(base.tokenizer.to_str(), encoding), settings)
    return encoding.model_copy(update={"windows": windows})


def practice_encoding(encoding: Encoding) -> Encoding:
    """The encoding of the rows that are learnt from.

    No close-ups, and windows count alike: a close-up would decide nearly all long rows, and the
    evaluator would learn nothing of windows. No framing is skipped, so that it is learnt to say
    nothing even where it isn't told.
    """
    encoding = encoding.model_copy(update={"framing": None})
    if encoding.windows is None:
        return encoding
    windows = encoding.windows.model_copy(update={"handicap": 0.0, "close_up": None})
    return encoding.model_copy(update={"windows": windows})


def searched(rows: EncodedRows) -> EncodedRows:
    """The rows with the runs that training searches for the deciding one.

    For each part of the output, these are the runs whose ground truth has most of its words.
    """
    encoded = [_nearest_runs(each) for each in rows.encoded]
    return EncodedRows(rows.rows, encoded, rows.passes)


def _nearest_runs(encoded: Encoded) -> Encoded:
    if len(encoded.runs) <= _SEARCHED_WINDOWS:
        return encoded
    handicaps = encoded.handicaps or [0.0] * len(encoded.runs)
    distances = [
        (handicap, -float(run.evidence[SHARE_OF_OUTPUT]))
        for handicap, run in zip(handicaps, encoded.runs, strict=True)
    ]
    by_part: dict[int, list[int]] = {}
    for place in sorted(range(len(distances)), key=distances.__getitem__):
        by_part.setdefault(encoded.parts[place], []).append(place)
    places = sorted(place for some in by_part.values() for place in some[:_SEARCHED_WINDOWS])
    return replace(
        encoded,
        runs=tuple(encoded.runs[place] for place in places),
        parts=tuple(encoded.parts[place] for place in places),
        excerpts=tuple(encoded.excerpts[place] for place in places),
        handicaps=tuple(encoded.handicaps[place] for place in places if encoded.handicaps),
    )


def with_rewritten(
    rows: EncodedRows, encoder: Encoder, settings: ResolvedSettings, *, learnt: bool
) -> EncodedRows:
    """Rows and what is made of them.

    Args:
        rows: Training or validation rows.
        encoder: Encodes what is made of them.
        settings: The run's settings.
        learnt: Whether they are learnt from, in passes that differ.
    """
    every, places = training_passes(
        rows.rows,
        share=settings.rewritten,
        seed=settings.seed,
        lengthened=settings.lengthened,
        passes=min(_MOST_PASSES, math.ceil(settings.epochs)) if learnt else 1,
    )
    new = EncodedRows.of(every[len(rows) :], encoder)
    return EncodedRows(every, [*rows.encoded, *new.encoded], places)


def warn_of_unread(encoded: Mapping[str, EncodedRows], reporter: Reporter) -> None:
    """Warns of rows that can't be read whole, and of text that can't be read."""
    items = [item for part in encoded.values() for item in part.encoded]
    if partial := sum(item.partial for item in items):
        reporter.warn(
            f"{partial} of {len(items)} rows are too long to be read whole",
            remedy="see {max_length} and {max_runs}",
        )
    warn_of_unreadable(items, reporter)
