"""The same tables and queries on a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reviewer import review_all
from sqlalchemy import select
from tools import require

from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge import JudgedRow
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.datasets import as_labelled
from tipstaff_trainer.workspace.label_job import Store
from tipstaff_trainer.workspace.labels import NewLabel, record
from tipstaff_trainer.workspace.tables import Row


@pytest.fixture(scope="module")
def postgres():
    """A server of its own, as an unprivileged user, since it refuses to run as root."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    tool = str(found[-1]) if found else require("pg_ctl")
    # Not in pytest's own folder, which is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="tipstaff-postgres-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        user = {"user": "postgres", "group": "postgres"}
        shutil.chown(folder, "postgres", "postgres")

    def ctl(*words):
        subprocess.run(
            [tool, "-D", "data", "-s", "-w", *words],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            **user,
        )

    ctl("init", "-o", "--auth=trust --username=tipstaff --no-sync")
    ctl("start", "-l", "log", "-o", f"-p {port} -k {folder} -h 127.0.0.1 -F")
    yield f"postgresql://tipstaff@127.0.0.1:{port}/postgres"
    ctl("stop", "-m", "immediate")
    shutil.rmtree(folder)


@pytest.fixture
def workspace(postgres, tmp_path):
    workspace = Workspace(tmp_path / "shared", database=postgres)
    yield workspace
    workspace.close()


def test_a_team_on_postgres(workspace, traces, tmp_path, postgres):
    dataset = workspace.upload_dataset(traces, name="on postgres")
    assert workspace.split(dataset, test_size=0.25) == []
    workspace.reviews.queue(dataset.id, {"random": 40}, seed=0)
    colleague = Workspace(tmp_path / "another folder", database=postgres)

    def work(desk, who):
        return review_all(desk, dataset.id, who)

    with ThreadPoolExecutor(4) as people:
        seen = people.map(
            work, [workspace, colleague, workspace, colleague], ["ann", "ben", "cem", "dua"]
        )
        rows = [row for each in seen for row in each]
    colleague.close()
    # What another has just locked is passed over, so somebody may stop early; nothing is lost.
    assert len(rows) == len(set(rows)) == 40
    found = workspace.datasets.get("on postgres")
    assert (found.human, found.good) == (40, 40)
    file = workspace.download_dataset(found, tmp_path / "rows.csv")
    assert workspace.upload_dataset(file, name="again").human == 40
    assert workspace.criteria.save("polite", criterion="c", prompt="{output}").version == 1


def test_a_text_that_postgres_can_t_hold_is_mended(workspace, tmp_path):
    file = tmp_path / "nul.jsonl"
    file.write_text('{"input": "a\\u0000b"}')
    dataset = workspace.upload_dataset(file)
    assert next(workspace.datasets.rows(dataset.id)).input == "a\ufffdb"


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "no url at all", "funny://x"]
)
def test_a_database_that_is_not_there(tmp_path, url):
    with pytest.raises(WorkspaceError, match="database"):
        Workspace(tmp_path / "w", database=url)


def test_labelling_and_reviewing_at_once_wait_for_no_circle(workspace, traces):
    """A job that stores labels takes nothing that a reviewer needs before it has its rows."""
    dataset = workspace.upload_dataset(traces, name="at once")
    first, *_, last = workspace.datasets.rows(dataset.id)
    store = Store(workspace, dataset.id, 0)
    for row in (first, last):
        store._waiting.append(judged(row))
    with ThreadPoolExecutor(1) as job, workspace.database.writing() as session:
        # A reviewer has the second row, and needs the data set's counts next.
        session.scalar(select(Row).where(Row.id == last.id).with_for_update())
        stored = job.submit(store.flush)
        time.sleep(0.3)
        record(session, last.id, NewLabel(0.0, "human", "ann"))
        session.commit()
        stored.result(timeout=20)
    found = workspace.datasets.get("at once")
    assert (found.judge, found.human) == (1, 1)


def judged(row):
    return JudgedRow(as_labelled(row), 1.0, "verdict", "", "", "gpt", "c", "h")
