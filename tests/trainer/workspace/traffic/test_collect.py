"""Traffic is collected exactly once, into SQLite and PostgreSQL."""

from __future__ import annotations

import gzip
import secrets
import shutil
import threading
import time

import pytest
from sqlalchemy import create_engine, text
from traffic_rows import Said, write_segment

from tipstaff_server.traffic.erase import erase
from tipstaff_server.traffic.segments import list_segments
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.engine import _with_driver
from tipstaff_trainer.workspace.traffic.window import Window

NOW = time.time() - 3600


@pytest.fixture(params=["sqlite", "postgres"])
def either(request, tmp_path):
    """A workspace in each kind of database."""
    database = None
    if request.param == "postgres":
        server = _with_driver(request.getfixturevalue("postgres"))
        name = f"traffic_{secrets.token_hex(4)}"
        with create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        database = server.replace("/postgres", f"/{name}")
    workspace = Workspace(tmp_path / "either", database=database)
    yield workspace
    workspace.close()


def answers(count, **values):
    return [Said(NOW + index, (index % 10) / 10 + 0.05, **values) for index in range(count)]


def test_rows_counts_and_feedback_arrive_once(either, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    about = {"request": "asked", "good": False, "at": NOW + 500}
    write_segment(folders[0], answers(40), feedback=[about])
    write_segment(folders[1], answers(20, version=2, request="asked", attributes={"model": "x"}))

    first = either.collect_traffic(*folders)
    assert (first.rows["judge"], first.answers, first.feedback) == (60, 60, 1)
    again = either.collect_traffic(*folders)
    assert (again.segments, again.answers) == (0, 0)

    dataset = either.stores.datasets.get("traffic of judge")
    assert (dataset.rows, dataset.fields) == (60, ["input", "output", "ground_truth"])
    assert 0 < dataset.test < 30
    live = either.live("judge")
    assert live.n == live.drawn == 60
    assert live.versions == {1: 40, 2: 20}
    assert live.verdicts == {"PASS": 24, "REVIEW": 12, "BLOCK": 24}
    assert list(live.bands) == [6] * 10
    assert live.reasons == {"UNCERTIFIED": 60}
    assert live.feedback == (0, 1)
    assert live.latency.median == pytest.approx(4)
    (attribute,) = live.attributes
    assert (attribute.name, attribute.value) == ("model", "x")
    assert attribute.share == pytest.approx(1 / 3)
    only = either.live("judge", Window.last(86400, now=NOW + 3600, version=2))
    assert only.n == 20


def test_feedback_before_its_row_joins_it_later(either, tmp_path):
    write_segment(tmp_path / "a", [], feedback=[{"request": "late", "good": False, "at": NOW + 9}])
    either.collect_traffic(tmp_path / "a")
    write_segment(tmp_path / "a", [Said(NOW, 0.9, request="late"), Said(NOW + 5, 0.95)])
    either.collect_traffic(tmp_path / "a")
    assert either.queue_traffic("judge", disputed=5) == 1
    ((item, _),) = either.review_queue("traffic of judge")
    assert item.selection == "disputed"
    assert item.why == "PASS, and thumbs says bad"


def test_two_collectors_at_once_count_nothing_twice(either, tmp_path):
    for number in range(6):
        write_segment(tmp_path / "a", answers(30), number=number)
    totals = []
    both = [
        threading.Thread(
            target=lambda: totals.append(either.collect_traffic(tmp_path / "a").answers)
        )
        for _ in range(2)
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sum(totals) == 180
    assert either.live("judge").n == 180
    assert either.stores.datasets.get("traffic of judge").rows == 180


def test_damage_is_named_and_a_half_segment_is_read_as_far_as_it_goes(workspace, tmp_path):
    good = write_segment(tmp_path / "a", answers(30))
    broken = write_segment(tmp_path / "a", answers(30))
    broken.write_bytes(broken.read_bytes()[:-9])
    whole = write_segment(tmp_path / "a", answers(30))
    lines = gzip.decompress(whole.read_bytes())
    half = whole.with_name(whole.name[:36] + "-half.jsonl.gz")
    half.write_bytes(gzip.compress(lines[: len(lines) // 2])[:-8])
    whole.unlink()

    collected = workspace.collect_traffic(tmp_path / "a")
    assert collected.segments == 2
    assert 30 < collected.rows["judge"] < 60
    notes = "\n".join(collected.notes)
    assert f"{broken}: not collected: its checksum differs" in notes
    assert f"{half}" in notes
    assert "breaks off" in notes
    # The damaged one is said again, nothing is read again.
    again = workspace.collect_traffic(tmp_path / "a")
    assert (again.segments, len(again.notes)) == (0, 1)
    assert good.exists()


def test_a_copied_segment_and_an_unknown_folder(workspace, tmp_path):
    write_segment(tmp_path / "a", answers(10))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert workspace.collect_traffic(tmp_path / "a", tmp_path / "b").answers == 10
    with pytest.raises(WorkspaceError, match="can't be read"):
        workspace.collect_traffic(tmp_path / "nothing")
    with pytest.raises(WorkspaceError, match="only of judge"):
        workspace.live("other")


def test_a_clock_that_is_ahead_and_a_salt_that_changed_are_said(workspace, tmp_path):
    from tipstaff_server.traffic.policy import SamplingPolicy

    write_segment(tmp_path / "a", [Said(time.time() + 4000, 0.5)])
    write_segment(tmp_path / "a", answers(3), policy=SamplingPolicy(1.0, (), b"other salt"))
    write_segment(tmp_path / "a", answers(3))
    collected = workspace.collect_traffic(tmp_path / "a")
    assert "clock" in "\n".join(collected.notes)
    assert workspace.live("judge").policies == 2


def test_erasing_reaches_rows_labels_and_later_segments(either, tmp_path):
    folder = tmp_path / "a"
    write_segment(folder, [Said(NOW, 0.9, request="erase me"), Said(NOW, 0.9, request="keep")])
    either.collect_traffic(folder)
    either.queue_traffic("judge", drawn=2)
    labels = either.label_set("traffic of judge")
    while item := either.stores.reviews.claim(labels, "ann"):
        either.stores.reviews.submit(item.id, 0.0, who="ann", based_on_label_id=0)
    done = either.erase_traffic("erase me")
    assert (done.rows, done.trained) == (1, 1)
    counts = either.label_set("traffic of judge")
    assert (counts.labelled, counts.human, counts.dataset.rows) == (1, 1, 1)
    # Another server's segment with the same request comes late.
    write_segment(tmp_path / "b", [Said(NOW, 0.9, request="erase me")])
    assert either.collect_traffic(tmp_path / "b").erased == 1
    assert erase(folder, ["erase me"]).rows == 1
    assert len(list_segments(folder)) == 1


def test_a_deleted_data_set_of_traffic_is_made_anew(workspace, tmp_path):
    write_segment(tmp_path / "a", answers(5))
    workspace.collect_traffic(tmp_path / "a")
    workspace.archive_dataset("traffic of judge")
    workspace.delete_dataset("traffic of judge")
    write_segment(tmp_path / "a", answers(7))
    assert workspace.collect_traffic(tmp_path / "a").rows["judge"] == 7
    assert workspace.stores.datasets.get("traffic of judge").rows == 7
