"""Storing and deleting rows while people work."""

from __future__ import annotations

import json
import statistics
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.datasets import ingest
from tipstaff_trainer.workspace.db.models import (
    Dataset,
    DatasetRow,
    Job,
    Label,
    ReviewItem,
    RowScore,
    now,
)
from tipstaff_trainer.workspace.labels.log import NewLabel, record


@pytest.fixture
def large(tmp_path):
    """A file that takes a few seconds to store."""
    path = tmp_path / "large.jsonl"
    words = "the parcel comes on monday in three days with a red blue green kettle " * 10
    with path.open("w") as lines:
        for number in range(16_000):
            lines.write(json.dumps({"output": f"{number} {words}", "label": number % 2}) + "\n")
    return path


def test_people_label_while_a_large_file_comes_in(workspace, dataset, labels, large):
    """They wait less than a second, and see no data set that isn't complete."""
    rows = workspace.stores.datasets.page(labels).rows
    failed = []

    def upload():
        try:
            uploader = Workspace(workspace.folder)
            uploader.upload_dataset(large)
            uploader.close()
        except BaseException as error:
            failed.append(error)

    uploading = threading.Thread(target=upload)
    uploading.start()
    waited, meanwhile = [], 0
    while uploading.is_alive():
        with workspace.stores.database.reading() as session:
            meanwhile += session.scalar(select(func.count()).select_from(DatasetRow)) > 60
        if meanwhile and not workspace.label_set(dataset).labelled:
            assert [each.name for each in workspace.stores.datasets.all()] == ["traces"]
            with pytest.raises(WorkspaceError, match="no data set 2, only traces"):
                workspace.stores.datasets.get(2)
        started = time.perf_counter()
        with workspace.stores.database.writing() as session:
            record(session, rows[len(waited) % 50].id, "", NewLabel(1.0, "human", "ann"))
        waited.append(time.perf_counter() - started)
        time.sleep(0.02)
    uploading.join()
    assert not failed
    assert meanwhile >= 2
    assert len(waited) >= 5
    # The median: on a busy machine the longest wait isn't the upload's fault.
    assert statistics.median(waited) < 1
    found = workspace.label_set("large")
    assert (found.dataset.rows, found.labelled, found.good) == (16_000, 16_000, 8_000)
    assert found.human == 0
    last = workspace.stores.datasets.page(found, before=16_000, size=1).rows[0]
    assert last.last_label_id == workspace.stores.datasets.labels(last.id, found)[0].id
    assert len(workspace.stores.datasets.page(found, words="15999 kettle").rows) == 1


def test_what_fails_half_way_leaves_nothing(workspace, dataset, large, monkeypatch):
    real, times = ingest._insert, []

    def insert(*words, **more):
        times.append(1)
        if len(times) == 3:
            raise WorkspaceError("no room")
        real(*words, **more)

    monkeypatch.setattr(ingest, "_insert", insert)
    with pytest.raises(WorkspaceError, match="no room"):
        workspace.upload_dataset(large)
    with workspace.stores.database.reading() as session:
        counted = [
            session.scalar(select(func.count()).select_from(table))
            for table in (Dataset, DatasetRow, Label)
        ]
    assert counted == [1, 60, 0]


def test_what_was_left_by_somebody_who_died_is_swept_up(workspace, dataset, traces):
    """The name is free at once; the rows go once the upload certainly can't continue."""
    left = workspace.upload_dataset(traces, name="left")
    with workspace.stores.database.writing() as session:
        session.execute(
            update(Dataset)
            .where(Dataset.id == left.id)
            .values(state="loading", name="~1", created_at=now() - timedelta(hours=1))
        )
    assert workspace.upload_dataset(traces, name="left").id != left.id
    with workspace.stores.database.writing() as session:
        rows = select(func.count()).where(DatasetRow.dataset_id == left.id)
        assert session.scalar(rows) == 60
        session.execute(
            update(Dataset)
            .where(Dataset.id == left.id)
            .values(created_at=now() - timedelta(hours=25))
        )
    workspace.stores.datasets.sweep()
    with workspace.stores.database.reading() as session:
        assert session.scalar(rows) == 0
        assert session.scalar(select(func.count()).select_from(Dataset)) == 2


def test_a_deleted_data_set_leaves_nothing_but_the_jobs(
    workspace, dataset, labels, traces, tmp_path
):
    other = workspace.upload_dataset(traces, name="other")
    workspace.stores.reviews.queue(labels, {"random": 5})
    item = workspace.stores.reviews.claim(labels, "ann")
    workspace.stores.reviews.submit(item.id, 1.0, who="ann", based_on_label_id=0)
    workspace.stores.scores.add(labels, ("tiny", 1), {item.row_id: 0.5})
    with workspace.stores.database.writing() as session:
        session.add(Job(kind="label", title="x", parameters={}, dataset_id=dataset.id))
    workspace.archive_dataset(dataset)
    with pytest.raises(WorkspaceError, match="stop the job first"):
        workspace.delete_dataset(dataset)
    workspace.stores.jobs.finish(1, "stopped", "")
    workspace.delete_dataset(dataset)
    with workspace.stores.database.reading() as session:
        for table in (Label, ReviewItem, RowScore):
            assert session.scalar(select(func.count()).select_from(table)) == 0
        assert session.scalars(select(DatasetRow.dataset_id).distinct()).all() == [other.id]
        assert session.scalar(select(Job.dataset_id)) is None
        # The full-text index checks itself against the remaining rows.
        session.execute(
            text("INSERT INTO rows_text(rows_text, rank) VALUES ('integrity-check', 1)")
        )
    assert (
        len(workspace.stores.datasets.page(workspace.label_set(other), words="colour").rows) == 50
    )
    assert workspace.upload_dataset(traces, name="traces").rows == 60


def test_what_was_brought_back_just_now_is_not_deleted(workspace, dataset):
    workspace.archive_dataset(dataset)
    seen = workspace.stores.datasets.get(dataset)
    workspace.restore_dataset(dataset)
    with pytest.raises(WorkspaceError, match="archive the data set before deleting it"):
        ingest.hide(workspace.stores.database, seen)
    assert workspace.stores.datasets.get(dataset).state == "ready"


def test_an_archived_data_set_keeps_its_name(workspace, dataset, traces):
    workspace.archive_dataset("traces")
    assert workspace.stores.datasets.all() == []
    assert [each.id for each in workspace.stores.datasets.all(archived=True)] == [dataset.id]
    with pytest.raises(WorkspaceError, match="already in the archive"):
        workspace.upload_dataset(traces)
    workspace.restore_dataset("traces")
    assert workspace.stores.datasets.get("traces").state == "ready"


def test_a_name_of_several_lines_is_one_line(workspace, traces):
    assert workspace.upload_dataset(traces, name=" two\n  lines\u2028").name == "two lines"
    with pytest.raises(WorkspaceError, match="there is a data set 'two lines' already"):
        workspace.upload_dataset(traces, name="two lines")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", {0, 1, 2}),
        ("!?", {0, 1, 2}),
        ("kett", {0, 1}),
        ("KETTLE red", {0}),
        ("don't", {1}),
        ('kettle" OR "pan', set()),
        ("www.example.com", {2}),
        ("ettle", set()),
    ],
)
def test_rows_are_found_by_words_and_their_beginnings(workspace, tmp_path, words, found):
    file = tmp_path / "few.jsonl"
    texts = ["a red kettle", "kettles: don't", "a pan, see https://www.example.com/a"]
    file.write_text("\n".join(json.dumps({"output": each}) for each in texts))
    for name in ("before", "few", "after"):
        workspace.upload_dataset(file, name=name)
    page = workspace.stores.datasets.page(workspace.label_set(2), words=words)
    assert {row.position for row in page.rows} == found
    assert {row.dataset_id for row in page.rows} <= {2}
