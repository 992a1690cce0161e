"""What is odd is said and counted: records, clocks, feedback, evaluators that are gone."""

from __future__ import annotations

import gzip
import json
import shutil
import time

import pytest
from sqlalchemy import select, update
from tiny_bundle import make_bundle
from traffic_rows import DAY, Said, write_segment

from tipstaff_server import repository
from tipstaff_server.traffic.segments import checksum_of
from tipstaff_trainer.workspace.db.models import DatasetRow, TrafficRow
from tipstaff_trainer.workspace.labels import log
from tipstaff_trainer.workspace.traffic.telling import telling_rows
from tipstaff_trainer.workspace.traffic.window import Window

HOUR = 3600
NOON = int(time.time()) // DAY * DAY - 2 * DAY + DAY // 2


def said(count, at=NOON, **values):
    return [Said(at + index, (index % 10) / 10 + 0.05, **values) for index in range(count)]


def rewrite(segment, change):
    """Changes the records of a sealed segment."""
    lines = [json.loads(line) for line in gzip.decompress(segment.read_bytes()).splitlines()]
    for record in lines:
        change(record)
    data = gzip.compress("".join(json.dumps(each) + "\n" for each in lines).encode())
    segment.unlink()
    parts = segment.name.removesuffix(".jsonl.gz").split("-")
    name = "-".join([*parts[:3], checksum_of(data)])
    segment.with_name(f"{name}.jsonl.gz").write_bytes(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verdict", "x" * 9),
        ("pi", 0),
        ("pi", "much"),
        ("row", "k" * 33),
        ("attributes", []),
        ("score", None),
        ("minute", "soon"),
        ("evaluator", ["a"]),
    ],
)
def test_a_record_that_can_not_be_stored_is_named_and_stops_no_other(
    workspace, tmp_path, name, value
):
    folder = tmp_path / "kept"

    def change(record):
        if name in record:
            record[name] = value

    rewrite(write_segment(folder, said(5)), change)
    write_segment(folder, said(7))
    collected = workspace.collect_traffic(folder)
    assert (collected.segments, collected.rows["judge"], collected.answers) == (1, 7, 7)
    assert "a record lacks what this Tipstaff reads" in "".join(collected.notes)


def test_texts_that_databases_refuse_are_stored_nearly_as_they_are(workspace, tmp_path):
    def change(record):
        if record["kind"] == "row":
            record["output"], record["attributes"] = "a\0b \ud800", {"k": "v\0"}

    rewrite(write_segment(tmp_path / "kept", said(1)), change)
    assert workspace.collect_traffic(tmp_path / "kept").rows["judge"] == 1
    frame = workspace.download_dataset("traffic of judge")
    assert frame["output"][0] == "a\ufffdb ?"


def test_a_clock_that_jumped_back_is_counted_by_the_hour_and_day(workspace, tmp_path):
    write_segment(tmp_path / "kept", [*said(10), *said(4, at=NOON - 40 * DAY)])
    assert workspace.collect_traffic(tmp_path / "kept").answers == 14
    assert workspace.live("judge", Window(NOON - 41 * DAY, NOON + DAY)).n == 14
    assert workspace.live("judge", Window(NOON - 41 * DAY, NOON - 39 * DAY)).n == 4


def test_a_window_counts_each_answer_once_at_its_ends_too(workspace, tmp_path):
    # One answer an hour, for three days.
    hours = [Said(NOON - 3 * DAY + hour * HOUR + 60, 0.9) for hour in range(72)]
    write_segment(tmp_path / "kept", hours, policy=None)
    workspace.collect_traffic(tmp_path / "kept")
    for since, until, n in (
        (NOON - 3 * DAY, NOON, 72),
        (NOON - 3 * DAY + 5 * HOUR, NOON - 7 * HOUR, 60),
        (NOON - 10 * HOUR, NOON - 4 * HOUR, 6),
        (NOON - 2 * HOUR, NOON, 2),
        (NOON - DAY // 2, NOON + DAY // 2, 12),
    ):
        live = workspace.live("judge", Window(since, until))
        assert live.n == n
        assert sum(point.n for point in live.points) == n


def test_feedback_on_unknown_requests_is_kept_and_disputes_nothing(workspace, tmp_path):
    about = [{"request": f"unknown {n}", "good": False, "at": NOON + 50} for n in range(3)]
    about.append({"request": "not drawn", "good": False, "at": NOON + 60, "row": "f" * 32})
    write_segment(tmp_path / "kept", said(10), feedback=about)
    assert workspace.collect_traffic(tmp_path / "kept").feedback == 4
    week = Window(NOON - DAY, NOON + DAY)
    assert workspace.live("judge", week).feedback == (0, 4)
    assert workspace.queue_traffic("judge", disputed=10, window=week) == 0


def test_traffic_of_an_evaluator_that_was_deleted_meanwhile(workspace, tmp_path):
    repository.publish(make_bundle(tmp_path / "tiny", name="judge"), workspace.repository)
    write_segment(tmp_path / "kept", said(5))
    workspace.collect_traffic(tmp_path / "kept")
    shutil.rmtree(workspace.repository / "judge")
    write_segment(tmp_path / "kept", said(6))
    assert workspace.collect_traffic(tmp_path / "kept").rows["judge"] == 6
    assert workspace.live("judge", Window(NOON - DAY, NOON + DAY)).n == 11


def test_an_attribute_s_answers_are_estimated_and_have_no_rates(workspace, tmp_path):
    both = [*said(20, attributes={"model": "a"}), *said(10, attributes={"model": "b"})]
    write_segment(tmp_path / "kept", both)
    workspace.collect_traffic(tmp_path / "kept")
    live = workspace.live("judge", Window(NOON - DAY, NOON + DAY, attribute=("model", "b")))
    assert (live.n, live.drawn) == (10, 10)
    assert sum(point.n for point in live.points) == 10
    assert "estimated" in live.rates.bad.withheld
    assert not live.spikes
    narrowed = workspace.stores.traffic.choices(live)
    assert set(narrowed.attributes) == {("model", "a"), ("model", "b")}
    workspace.erase_traffic(*(row for row in _requests(workspace)))
    assert workspace.stores.traffic.choices(live).attributes == []


def _requests(workspace):
    return workspace.stores.database.scalars(select(TrafficRow.request_id))


def test_a_removed_row_never_comes_back_and_counts_as_unanswered(workspace, tmp_path):
    write_segment(tmp_path / "kept", said(40))
    workspace.collect_traffic(tmp_path / "kept")
    week = Window(NOON - DAY, NOON + DAY)
    assert workspace.queue_traffic("judge", drawn=40, window=week) == 40
    labels, reviews = workspace.label_set("traffic of judge"), workspace.stores.reviews
    first = reviews.claim(labels, "ann")
    reviews.remove(first.id, who="ann")
    while item := reviews.claim(labels, "ann"):
        reviews.submit(item.id, 1.0, who="ann", based_on_label_id=0)
    assert (reviews.progress(labels).done, reviews.progress(labels).removed) == (39, 1)
    assert workspace.queue_traffic("judge", drawn=40, flagged=40, passed=40, window=week) == 0
    assert reviews.requeue_skipped(labels) == 0
    assert workspace.review_queue("traffic of judge", {"random": 40}) == []
    live = workspace.live("judge", week)
    assert live.rates.bad.reviews == 39
    assert live.over_time[0][1].bad.reviews == 39
    # A removal can be taken back, as all a reviewer does.
    for _ in range(40):
        undone = reviews.undo(labels, who="ann")
    assert undone.id == first.id
    assert reviews.progress(labels).removed == 0


def review_all(workspace, label=1.0, criterion=None):
    labels, reviews = workspace.label_set("traffic of judge", criterion), workspace.stores.reviews
    count = 0
    while item := reviews.claim(labels, "ann"):
        reviews.submit(item.id, label, who="ann", based_on_label_id=0)
        count += 1
    return count


def test_rows_without_texts_hold_up_no_review(workspace, tmp_path):
    write_segment(tmp_path / "kept", said(60))
    workspace.collect_traffic(tmp_path / "kept")
    with workspace.stores.database.writing() as session:
        # As the server keeps a row whose redaction failed.
        first = select(TrafficRow.row_id).order_by(TrafficRow.rank).limit(1)
        without = {"input": None, "output": None, "ground_truth": None}
        row = DatasetRow.id == session.scalar(first)
        session.execute(update(DatasetRow).where(row).values(without))
    week = Window(NOON - DAY, NOON + DAY)
    assert workspace.queue_traffic("judge", drawn=60, window=week) == 59
    assert review_all(workspace) == 59
    live = workspace.live("judge", week)
    assert (live.rates.bad.reviews, live.rates.bad.withheld, live.picked) == (59, "", 0)


def test_labels_by_another_criterion_say_nothing_of_the_evaluator(workspace, tmp_path):
    write_segment(tmp_path / "kept", said(40))
    workspace.collect_traffic(tmp_path / "kept")
    week = Window(NOON - DAY, NOON + DAY)
    workspace.add_criterion("traffic of judge", "faithfulness")
    workspace.queue_traffic("judge", drawn=40, window=week)
    assert review_all(workspace) == 40
    before = workspace.live("judge", week)
    assert before.rates.bad.reviews == 40
    labels = workspace.add_criterion("traffic of judge", "relevance")
    rows = list(workspace.stores.datasets.rows(labels))
    with workspace.stores.database.writing() as session:
        for row in rows:
            log.record(session, row.id, "relevance", log.NewLabel(0.0, "human", "ann"))
    after = workspace.live("judge", week)
    assert (after.rates, after.picked) == (before.rates, 0)
    database, dataset = workspace.stores.database, labels.dataset_id
    telling = telling_rows(database, "judge", dataset, week)
    assert [each.label for each in telling] == [1.0] * 40


def test_a_row_with_a_label_by_another_criterion_is_still_queued(workspace, tmp_path):
    write_segment(tmp_path / "kept", said(10))
    workspace.collect_traffic(tmp_path / "kept")
    workspace.add_criterion("traffic of judge", "faithfulness")
    labels = workspace.add_criterion("traffic of judge", "relevance")
    rows = list(workspace.stores.datasets.rows(labels))
    with workspace.stores.database.writing() as session:
        for row in rows:
            log.record(session, row.id, "relevance", log.NewLabel(0.0, "human", "ann"))
    week = Window(NOON - DAY, NOON + DAY)
    assert workspace.queue_traffic("judge", drawn=10, window=week) == 10
