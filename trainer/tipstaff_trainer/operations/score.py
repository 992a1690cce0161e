"""Score: rows of a data set, scored by an evaluator or by a classifier of the other rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from pathlib import Path

from tipstaff_server.requests import Request, setting
from tipstaff_trainer.data import Row
from tipstaff_trainer.operations.sources import FileData, StoredData
from tipstaff_trainer.progress import Reporter

_BATCH_ROWS = 500
Scores = Sequence[float | None]
Sink = Callable[[Sequence[Row], Scores], None]


class ScoreRequest(Request):
    """Which rows to score, and with what."""

    data: FileData | StoredData = setting(description="rows to score")
    bundle: Path | None = setting(
        None,
        "the bundle that scores; without it, each labelled row gets the probability that a "
        "classifier of the other rows gives it",
    )


def score(request: ScoreRequest, rows: Collection[Row], sink: Sink, reporter: Reporter) -> int:
    """Scores rows, a few hundred at a time.

    Args:
        request: The scorer.
        rows: The rows without a score; may be read from a database during the iteration.
        sink: Takes each batch of rows with their scores in [0, 1]. A score is None if the
            evaluator reads none of the row's fields or, without an evaluator, if the row has no
            label.
        reporter: Takes the progress.

    Returns:
        How many rows the sink got.

    Raises:
        BundleError: The bundle is damaged.
        DataError: The other rows are too few, or of one class.
    """
    total, done = len(rows), 0
    parts = _by_other_rows(rows) if request.bundle is None else _by_bundle(request.bundle, rows)
    for part, scores in parts:
        sink(part, scores)
        done += len(part)
        reporter.step(done, total)
    return done


def _by_bundle(folder: Path, rows: Iterable[Row]) -> Iterable[tuple[Sequence[Row], Scores]]:
    from tipstaff_server.evaluator import Evaluator
    from tipstaff_trainer.evaluation.predict import predict_all

    evaluator = Evaluator.load(folder)
    fields = evaluator.manifest.fields
    for part in _parts(rows):
        readable = [
            row for row in part if any(row.interaction.get(name) is not None for name in fields)
        ]
        predictions = predict_all(evaluator, [row.interaction for row in readable])
        scores = {
            row.id: prediction.score for row, prediction in zip(readable, predictions, strict=True)
        }
        yield part, [scores.get(row.id) for row in part]


def _by_other_rows(rows: Iterable[Row]) -> Iterable[tuple[Sequence[Row], Scores]]:
    # Imported here, since torch takes seconds.
    from tipstaff_trainer.label_quality.label_errors import out_of_fold_scores

    everything = list(rows)
    labelled = [row for row in everything if row.labelled]
    scores = dict(zip((row.id for row in labelled), out_of_fold_scores(labelled), strict=True))
    for part in _parts(everything):
        yield part, [scores.get(row.id) for row in part]


def _parts(rows: Iterable[Row]) -> Iterable[Sequence[Row]]:
    iterator = iter(rows)
    while part := list(islice(iterator, _BATCH_ROWS)):
        yield part
