"""Review queue: a file's rows with a judge's labels, ranked for review by people.

rows, other judges' rows, second opinion → ranking and random slice → file

A data set's queue is chosen in `workspace.review`, by the same ranking.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from tipstaff_server.requests import setting
from tipstaff_trainer.data import Data, Row
from tipstaff_trainer.errors import DataError
from tipstaff_trainer.judge.records import json_line, number_in, rounded, row_record
from tipstaff_trainer.label_quality.review_queue import QueuedRow, RankBy, rank_for_review
from tipstaff_trainer.operations.outputs import NewRowsFile, write_lines
from tipstaff_trainer.operations.second_opinion import SecondOpinion, evaluator_scores
from tipstaff_trainer.operations.sources import FileData, InputFile


class ReviewQueueRequest(SecondOpinion):
    """The rows to rank, and how."""

    data: FileData = setting(description="rows with a judge's labels")
    # An existing queue may have been reviewed since.
    out: NewRowsFile | None = setting(
        None, "a new .jsonl file; standard output when not given", unit="file", local=True
    )
    count: int = setting(200, "most rows in the queue", unit="rows", ge=1)
    random_share: float = setting(
        0.2, "share drawn at random, for honest estimates", unit="share", ge=0, le=1
    )
    rank_by: RankBy = setting(
        "error",
        "the order of the rest: likely label error, the judge's own uncertainty, or "
        "disagreement between judges and evaluator",
    )
    judge: tuple[InputFile, ...] = setting(
        (), "the same rows as labelled by another judge; may be repeated", unit="file", local=True
    )
    seed: int = setting(0, "seeds the random slice")


def review_queue(
    request: ReviewQueueRequest, data: Data, judges: Sequence[Data] = ()
) -> list[QueuedRow]:
    """Ranks rows for review, and writes the queue if the request names a file for it.

    Args:
        request: The ranking and the second opinion.
        data: Rows with a judge's labels.
        judges: The same rows as labelled by other judges; matched by id.

    Returns:
        The rows in the order in which people should review them.

    Raises:
        DataError: A judge labelled none of the rows, no row is left to review, there is no second
            opinion, or the file can't be written.
    """
    scores, out_of_fold = evaluator_scores(request, data.rows), None
    if request.out_of_fold:
        # Imported here, since torch takes seconds.
        from tipstaff_trainer.label_quality.label_errors import out_of_fold_scores

        out_of_fold = out_of_fold_scores(data.rows)
    queue = rank_for_review(
        data.whole,
        count=request.count,
        random_share=request.random_share,
        rank_by=request.rank_by,
        judges=[_labels(judge, data) for judge in judges],
        scores=scores,
        out_of_fold=out_of_fold,
        seed=request.seed,
    )
    if not queue:
        raise DataError(f"{data.file}: no row is left to review; people have labelled them all")
    if request.out is not None:
        write_lines(request.out, queue_lines(queue))
    return queue


def queue_lines(queue: Iterable[QueuedRow]) -> Iterator[str]:
    """The rows of a queue as JSON lines."""
    for each in queue:
        priority = rounded(each.priority)
        yield json_line(
            row_record(each.row, selection=each.selection, priority=priority, why=each.why)
        )


def _labels(judge: Data, data: Data) -> dict[str, float]:
    """A judge's label of each row: `judge_label` where a person's label has replaced it."""
    labels = {row.id: _judge_label(row) for row in judge.whole}
    if not any(row.id in labels for row in data.rows):
        raise DataError(f"{judge.file}: none of its rows is in {data.file}; rows are matched by id")
    return labels


def _judge_label(row: Row) -> float:
    replaced = number_in(row, "judge_label") if row.label_source == "human" else math.nan
    return row.label if math.isnan(replaced) else replaced
