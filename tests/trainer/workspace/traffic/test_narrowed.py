"""A part of an evaluator's traffic: a version, a caller or an attribute, and nothing of others."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select, text
from traffic_rows import DAY, Said, write_segment

from tipstaff_trainer.workspace.db.models import RowScore, TrafficRow
from tipstaff_trainer.workspace.traffic import sample
from tipstaff_trainer.workspace.traffic.window import Window

NOON = int(time.time()) // DAY * DAY - 2 * DAY + DAY // 2
WEEK = (NOON - 3 * DAY, NOON + DAY)


def said(count, *, at=NOON, **values):
    scores = [(index % 10) / 10 + 0.05 for index in range(count)]
    return [Said(at + index, score, **values) for index, score in enumerate(scores)]


@pytest.fixture
def two_versions(workspace, tmp_path):
    """Version 1's rows are removed from the queue, version 2's are labelled; two days of 1."""
    before = said(10, at=NOON - DAY, version=1, caller="old", attributes={"model": "a"})
    old = said(40, version=1, caller="old", attributes={"model": "a"})
    new = said(40, version=2, caller="new", attributes={"model": "b"})
    write_segment(tmp_path / "kept", [*before, *old, *new])
    workspace.collect_traffic(tmp_path / "kept")
    assert workspace.queue_traffic("judge", drawn=90, window=Window(*WEEK)) == 90
    traffic = workspace.stores.database.scalars(select(TrafficRow))
    versions = {each.row_id: each.version for each in traffic}
    labels, reviews = workspace.label_set("traffic of judge"), workspace.stores.reviews
    while item := reviews.claim(labels, "ann"):
        if versions[item.row_id] == 1:
            reviews.remove(item.id, who="ann")
        else:
            reviews.submit(item.id, 1.0, who="ann", based_on_label_id=0)
    return workspace


@pytest.mark.parametrize("part", [{"version": 2}, {"caller": "new"}])
def test_rows_that_people_left_are_counted_in_their_own_part(two_versions, part):
    everything = two_versions.live("judge", Window(*WEEK))
    assert "people left 50 of 90" in everything.rates.bad.withheld
    live = two_versions.live("judge", Window(*WEEK, **part))
    assert (live.rates.bad.reviews, live.rates.bad.withheld) == (40, "")
    assert live.days == (1, 1)
    assert set(live.by_version) == {2}


def test_days_are_read_some_at_a_time(two_versions, monkeypatch):
    at_once = two_versions.live("judge", Window(*WEEK, version=1))
    monkeypatch.setattr(sample, "_DAYS_AT_ONCE", 1)
    assert two_versions.live("judge", Window(*WEEK, version=1)).rates == at_once.rates


@pytest.mark.parametrize("days", [2, 100])
def test_no_page_reads_all_kept_rows(two_versions, days):
    """SQLite looks each day up by rank; the evaluator alone would give all of its rows."""
    dataset = two_versions.live("judge", Window(*WEEK)).dataset_id
    ends = [(20_000 + day, 0.5, None) for day in range(days)]
    query = sample._reached("judge", dataset, ends, sample._by_person(dataset))
    with two_versions.stores.database.reading() as session:
        connection = session.connection()
        sql = query.compile(connection, compile_kwargs={"literal_binds": True})
        plan = [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    looked_up = [step for step in plan if "traffic_rows USING" in step]
    assert len(looked_up) == days
    assert all("evaluator=? AND day=? AND rank<?" in step for step in looked_up)


def test_each_version_has_its_own_unanswered_rows(two_versions):
    by_version = two_versions.live("judge", Window(*WEEK)).by_version
    assert "people left 50 of 50" in by_version[1].bad.withheld
    assert by_version[2].bad.withheld == ""
    # A verdict has those of its rows only.
    assert by_version[1].false_pass.withheld.startswith("people left 20 of 20")


def test_picked_rows_are_those_of_the_part(workspace, tmp_path):
    write_segment(tmp_path / "kept", [*said(5, version=1), *said(5, version=2)])
    workspace.collect_traffic(tmp_path / "kept")
    workspace.queue_traffic("judge", flagged=10, window=Window(*WEEK, version=1))
    labels, reviews = workspace.label_set("traffic of judge"), workspace.stores.reviews
    while item := reviews.claim(labels, "ann"):
        reviews.submit(item.id, 1.0, who="ann", based_on_label_id=0)
    picked = [workspace.live("judge", Window(*WEEK, version=each)).picked for each in (1, 2)]
    assert picked[0] > 0
    assert picked[1] == 0


def test_feedback_is_that_on_the_part_s_rows(workspace, tmp_path):
    answers = [
        Said(NOON, 0.9, 1, "first", "a", {"model": "x"}),
        Said(NOON, 0.9, 2, "second", "b", {"model": "y"}),
    ]
    feedback = [
        {"request": "first", "good": False, "at": NOON + 5},
        {"request": "second", "good": True, "at": NOON + 5},
        {"request": "unknown", "good": True, "at": NOON + 5},
    ]
    write_segment(tmp_path / "kept", answers, feedback=feedback)
    workspace.collect_traffic(tmp_path / "kept")

    def counts(**part):
        return workspace.live("judge", Window(*WEEK, **part)).feedback

    assert counts() == (2, 1)
    assert counts(version=1) == counts(caller="a") == (0, 1)
    assert counts(version=2) == counts(attribute=("model", "y")) == (1, 0)


def test_an_attribute_has_no_number_of_all_answers(two_versions):
    live = two_versions.live("judge", Window(*WEEK, attribute=("model", "b")))
    assert (live.n, live.versions, live.callers) == (40, {2: 40}, {"new": 40})
    assert (live.rates.n, live.rates.needs_person, live.rates.bad.reviews) == (0, None, 0)
    assert (live.days, live.picked, live.by_version, live.over_time) == ((0, 0), 0, {}, [])


def test_scores_of_other_rows_are_those_of_the_version(two_versions, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("input,output\nq,a\nr,b\n")
    dataset = two_versions.upload_dataset(other)
    rows = two_versions.stores.datasets.page(two_versions.label_set(dataset)).rows
    with two_versions.stores.database.writing() as session:
        session.add_all(
            RowScore(
                row_id=row.id,
                dataset_id=dataset.id,
                evaluator="judge",
                version=version,
                score=score,
            )
            for row in rows
            for version, score in ((1, 0.05), (2, 0.95))
        )
    traffic = two_versions.stores.traffic

    def bands(version):
        return traffic.training_bands(traffic.live("judge", Window(*WEEK, version=version)))

    assert (bands(1)[0], bands(2)[0], bands(None)[0]) == (1.0, 0.0, 0.0)
    assert bands(3) == ()
