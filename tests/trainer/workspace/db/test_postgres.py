"""The same tables and queries on a real PostgreSQL."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from reviewer import review_all
from sqlalchemy import select

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge import JudgedRow
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import DatasetRow, ReviewItem
from tipstaff_trainer.workspace.db.rows import to_data_row
from tipstaff_trainer.workspace.jobs.label_sink import LabelSink
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.review import queue
from tipstaff_trainer.workspace.review.selection import choose


@pytest.fixture
def workspace(postgres, tmp_path):
    workspace = Workspace(tmp_path / "shared", database=postgres)
    yield workspace
    workspace.close()


def test_a_team_on_postgres(workspace, traces, tmp_path, postgres):
    dataset = workspace.upload_dataset(traces, name="on postgres")
    assert workspace.split(dataset, test_size=0.25) == []
    labels = workspace.label_set(dataset)
    workspace.stores.reviews.queue(labels, {"random": 40}, seed=0)
    colleague = Workspace(tmp_path / "another folder", database=postgres)

    def work(desk, who):
        return review_all(desk, labels, who)

    with ThreadPoolExecutor(4) as people:
        seen = people.map(
            work, [workspace, colleague, workspace, colleague], ["ann", "ben", "cem", "dua"]
        )
        rows = [row for each in seen for row in each]
    colleague.close()
    # Rows that another reviewer has locked are skipped, so one may stop early; none is lost.
    assert len(rows) == len(set(rows)) == 40
    found = workspace.label_set("on postgres")
    assert (found.human, found.good) == (40, 40)
    file = workspace.download_dataset("on postgres", tmp_path / "rows.csv")
    workspace.upload_dataset(file, name="again")
    assert workspace.label_set("again").human == 40
    assert workspace.stores.criteria.save("polite", criterion="c", prompt="{output}").version == 1


def test_two_people_who_add_rows_at_once_queue_none_twice(
    workspace, traces, tmp_path, postgres, monkeypatch
):
    """Unless they wait for each other, each chooses before the other's rows are stored."""

    def choose_slowly(*words, **more):
        found = choose(*words, **more)
        time.sleep(0.5)
        return found

    monkeypatch.setattr(queue, "choose", choose_slowly)
    labels = workspace.label_set(workspace.upload_dataset(traces, name="twice"))
    colleague = Workspace(tmp_path / "another folder", database=postgres)
    with ThreadPoolExecutor(2) as people:
        queued = people.map(
            lambda desk: desk.stores.reviews.queue(labels, {"pilot": 30}), [workspace, colleague]
        )
        rows = [row for each in queued for row in each]
    colleague.close()
    assert len(rows) == len(set(rows)) == 60
    assert workspace.stores.reviews.progress(labels).waiting == 60
    # The database itself refuses a second entry for a row, should the code have a bug.
    item = ReviewItem(dataset_id=labels.dataset_id, row_id=rows[0], selection="pilot", rank=99)
    session = workspace.stores.database.writing()
    with pytest.raises(WorkspaceError, match="unique"), session as opened:
        opened.add(item)


def test_a_text_that_postgres_can_t_hold_is_mended(workspace, tmp_path):
    file = tmp_path / "nul.jsonl"
    file.write_text('{"input": "a\\u0000b"}')
    dataset = workspace.upload_dataset(file)
    assert next(workspace.stores.datasets.rows(workspace.label_set(dataset))).input == "a\ufffdb"


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "no url at all", "funny://x"]
)
def test_a_database_that_is_not_there(tmp_path, url):
    with pytest.raises(WorkspaceError, match="database"):
        Workspace(tmp_path / "w", database=url)


def test_labelling_and_reviewing_at_once_wait_for_no_circle(workspace, traces):
    """A job that stores labels locks its rows first, and only then what a reviewer needs too."""
    dataset = workspace.upload_dataset(traces, name="at once")
    labels = workspace.label_set(dataset)
    first, *_, last = workspace.stores.datasets.rows(labels)
    store = LabelSink(workspace.stores.database, labels, 0)
    for row in (first, last):
        store._pending.append(judged(row))
    with ThreadPoolExecutor(1) as job, workspace.stores.database.writing() as session:
        # A reviewer has locked the second row, and needs the data set's counts next.
        session.scalar(select(DatasetRow).where(DatasetRow.id == last.id).with_for_update())
        stored = job.submit(store.flush)
        time.sleep(0.3)
        record(session, last.id, "", NewLabel(0.0, "human", "ann"))
        session.commit()
        stored.result(timeout=20)
    found = workspace.label_set("at once")
    assert (found.judge, found.human) == (1, 1)


def judged(row):
    return JudgedRow(to_data_row(row), 1.0, "verdict", "", "", "gpt", "c", "h")


def test_rows_are_found_by_words_on_postgres(workspace, tmp_path):
    file = tmp_path / "words.jsonl"
    texts = ["a red kettle", "KETTLES: don't", "see https://www.example.com/a_b", "x" * 3_000_000]
    file.write_text("\n".join(json.dumps({"output": each}) for each in texts))
    dataset = workspace.upload_dataset(file)
    labels = workspace.label_set(dataset)

    def found(words):
        return [row.position for row in workspace.stores.datasets.page(labels, words=words).rows]

    assert found("kett") == [0, 1]
    assert found("don't KETTLES") == [1]
    assert found("example.com") == found("B") == [2]
    assert found("red & ! | <->") == [0]
    workspace.archive_dataset(dataset)
    workspace.delete_dataset(dataset)
    with pytest.raises(WorkspaceError, match="no data set"):
        workspace.stores.datasets.get(dataset.id)
