"""Reviewed traffic in a training: rows to learn from, and rows that no training sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from tipstaff_server.evaluator import Evaluator
from tipstaff_trainer.data import Row, without_groups_of
from tipstaff_trainer.evaluation.predict import predict_all
from tipstaff_trainer.progress import Reporter
from tipstaff_trainer.workspace.db.models import Dataset, DatasetRow, LabelSet, TrafficRow
from tipstaff_trainer.workspace.db.rows import StoredRow, to_data_row
from tipstaff_trainer.workspace.labels.label_sets import choose_label_set
from tipstaff_trainer.workspace.stores import Stores

# Failures that a result lists.
_MOST_LISTED = 50


@dataclass(frozen=True, slots=True)
class ReviewedTraffic:
    """The rows of an evaluator's traffic that people labelled.

    Attributes:
        train: Rows to learn from.
        failed: The ids of those that the evaluator got wrong: a bad one passed, a good one blocked.
        test: Rows that no training sees.
    """

    train: Sequence[Row] = ()
    failed: frozenset[str] = frozenset()
    test: Sequence[Row] = ()


def read_reviewed(stores: Stores, evaluator: str, criterion: str | None) -> ReviewedTraffic:
    """Reads an evaluator's reviewed traffic.

    Raises:
        WorkspaceError: No traffic of it is collected, or it is judged by another criterion.
    """
    dataset = stores.datasets.get(stores.traffic.dataset_id(evaluator))
    labels = choose_label_set(dataset, criterion if _judged_by(dataset, criterion) else None)
    by_part: dict[str, list[StoredRow]] = {"train": [], "test": []}
    for row in stores.datasets.rows(labels):
        if row.label is not None and row.label_source == "human":
            by_part[row.part].append(row)
    verdicts = _verdicts(stores, labels)
    failed = frozenset(
        row.key
        for row in by_part["train"]
        if verdicts.get(row.id) == ("BLOCK" if (row.label or 0) >= 0.5 else "PASS")
    )
    return ReviewedTraffic(
        tuple(map(to_data_row, by_part["train"])), failed, tuple(map(to_data_row, by_part["test"]))
    )


def join_traffic(
    rows: Sequence[Row],
    traffic: ReviewedTraffic,
    *,
    base: str,
    seed: int,
    reporter: Reporter,
) -> list[Row]:
    """Training rows with those from traffic; failures and rows like them weigh more.

    Args:
        rows: The rows without traffic; they all stay, unless they belong to a test row of traffic.
        traffic: Reviewed traffic.
        base: The encoder to find rows alike and to choose their weight with.
        seed: Seeds the choice.
        reporter: Takes notes.
    """
    from tipstaff_trainer.encoders.base import find_base
    from tipstaff_trainer.label_quality.failure_weights import weigh_failures

    joined = without_groups_of([*rows, *traffic.train], traffic.test)
    if left := len(rows) + len(traffic.train) - len(joined):
        reporter.note(f"left out {left} rows that belong together with test rows of traffic")
    from_traffic = {row.id for row in traffic.train}
    places = {index for index, row in enumerate(joined) if row.id in from_traffic}
    failures = {index for index in places if joined[index].id in traffic.failed}
    reporter.note(
        f"{len(places)} rows of traffic join the training set, {len(failures)} of which the "
        f"evaluator got wrong; {len(traffic.test)} more are held out"
    )
    weighted = weigh_failures(joined, find_base(base), failures=failures, traffic=places, seed=seed)
    if weighted.losses:
        losses = ", ".join(f"{loss:.4f} by {by:g}" for by, loss in weighted.losses.items())
        reporter.note(
            f"failures weigh {weighted.factor:g} times as much, and {weighted.similar} rows like "
            f"them the root of it (log loss on held-out traffic: {losses})"
        )
    return list(weighted.rows)


def measure_on_traffic(evaluator: Evaluator, rows: Sequence[Row]) -> Mapping[str, Any] | None:
    """What a version does on reviewed traffic that it was not trained on; None without rows."""
    if not rows:
        return None
    predictions = predict_all(evaluator, [row.interaction for row in rows])
    verdicts = [prediction.verdict.value for prediction in predictions]
    wrong = [
        (row, prediction)
        for row, prediction, verdict in zip(rows, predictions, verdicts, strict=True)
        if verdict == ("BLOCK" if row.good else "PASS")
    ]
    passed = verdicts.count("PASS")
    bad = sum(not row.good for row in rows)
    false_passes = sum(not row.good for row, _ in wrong)
    return {
        "n": len(rows),
        "bad": bad,
        "passed": passed,
        "false_passes": false_passes,
        "false_blocks": len(wrong) - false_passes,
        "review": verdicts.count("REVIEW"),
        "failures": [
            {"id": row.id, "score": prediction.score, "verdict": prediction.verdict.value}
            for row, prediction in wrong[:_MOST_LISTED]
        ],
    }


def _judged_by(dataset: Dataset, criterion: str | None) -> bool:
    return criterion in {each.criterion for each in dataset.label_sets}


def _verdicts(stores: Stores, labels: LabelSet) -> dict[int, str]:
    """The latest verdict on each row."""
    query = (
        select(TrafficRow.row_id, TrafficRow.verdict)
        .join(DatasetRow, DatasetRow.id == TrafficRow.row_id)
        .where(DatasetRow.dataset_id == labels.dataset_id)
        .order_by(TrafficRow.at)
    )
    return dict(stores.database.rows(query))
