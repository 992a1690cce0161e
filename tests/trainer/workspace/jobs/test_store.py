"""Jobs: real processes that are stopped, killed and resumed, and that say what went wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest
from judge_rows import capitals
from judge_server import Behaviour, JudgeServer
from running_server import wait_until
from sqlalchemy import func, select, update

from tipstaff_trainer.errors import JobError, WorkspaceError
from tipstaff_trainer.judge.criteria import load_criterion
from tipstaff_trainer.judge.prompt import Prompt
from tipstaff_trainer.workspace import Workspace
from tipstaff_trainer.workspace.db.models import DatasetRow, Job, Label, ReviewItem
from tipstaff_trainer.workspace.labels.log import NewLabel, record
from tipstaff_trainer.workspace.labels.scores import OTHER_ROWS
from tipstaff_trainer.workspace.operations import runner
from tipstaff_trainer.workspace.operations.examples import reviewed_examples
from tipstaff_trainer.workspace.operations.reporter import JobReporter


@pytest.fixture
def judge():
    with JudgeServer(Behaviour(delay=0.05)) as server:
        yield server


def label(workspace, dataset, url, **settings):
    return workspace.label_dataset(
        dataset,
        criterion="answer-correctness",
        model="judge-1",
        base_url=url,
        concurrency=1,
        patience=1,
        **settings,
    )


def test_a_killed_job_is_noticed_and_resumed_without_paying_twice(workspace, dataset, judge):
    job = label(workspace, dataset, judge.url)
    # Labels are stored as they come, and a kill loses none.
    wait_until(lambda: workspace.label_set(dataset).judge >= 5, 60)
    os.kill(workspace.stores.jobs.get(job.id).pid, signal.SIGKILL)
    wait_until(lambda: workspace.stores.jobs.get(job.id).state == "failed", 20)
    assert 5 <= workspace.label_set(dataset).judge < 60
    assert "resume the job" in workspace.stores.jobs.get(job.id).message
    # A desk that is started later knows of it too.
    other = Workspace(workspace.folder)
    judge.behaviour.delay = 0.0
    done = other.wait_for(other.stores.jobs.resume(job.id), timeout=60)
    other.close()
    assert done.message.startswith("60 of 60 rows are labelled")
    assert workspace.label_set(dataset).judge == 60
    with workspace.stores.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Label)) == 60
    # One call may have been on its way when the job was killed.
    assert judge.behaviour.seen <= len(judge.behaviour.calls) + 1
    with pytest.raises(WorkspaceError, match="is done"):
        workspace.stores.jobs.resume(job.id)


def test_a_stopped_labelling_keeps_its_labels(workspace, dataset, judge):
    labels = workspace.add_criterion(dataset, "answer-correctness")
    first, *_ = workspace.stores.datasets.rows(labels)
    workspace.stores.scores.add(labels, OTHER_ROWS, {first.id: None})
    job = label(workspace, dataset, judge.url)
    wait_until(lambda: workspace.stores.jobs.get(job.id).done >= 5, 60)
    stopped = workspace.stores.jobs.stop(job.id)
    assert stopped.state == "stopped"
    assert not psutil.pid_exists(stopped.pid) or psutil.Process(stopped.pid).status() == "zombie"
    assert 5 <= workspace.label_set(dataset).judge < 60
    # The other rows' scores were computed from the labels before.
    assert workspace.stores.scores.counts(labels) == {}
    with pytest.raises(JobError, match="stopped"):
        workspace.wait_for(job)


def test_a_judge_that_is_down_fails_the_job_in_words(workspace, dataset):
    with pytest.raises(JobError, match=r"has not answered.*run the labelling again later"):
        label(workspace, dataset, "http://127.0.0.1:9/v1", pilot=True, wait_for_completion=60)
    assert workspace.stores.reviews.progress(workspace.label_set(dataset)).waiting == 16


def test_a_job_that_was_stopped_before_its_process_started_stays_stopped(workspace):
    with workspace.stores.database.writing() as session:
        session.add(Job(kind="train", title="x", parameters={}, state="stopped"))
    assert runner.main(str(workspace.folder), 1) == 143
    assert workspace.stores.jobs.get(1).state == "stopped"


def test_reviewers_notes_are_reasons_in_the_examples(workspace, dataset, labels):
    workspace.stores.reviews.queue(labels, {"pilot": 6})
    for index in range(6):
        item = workspace.stores.reviews.claim(labels, "ann")
        note = f"because of {index}"
        workspace.stores.reviews.submit(
            item.id, float(index % 2), who="ann", based_on_label_id=0, reason=note
        )
    criterion = load_criterion("answer-correctness")
    examples = reviewed_examples(
        workspace.stores, labels, 20, JobReporter(workspace.stores.jobs, 1)
    )
    # No example, nor in a group of one: a row is never its own example.
    other = replace(capitals(1)[0], id="other", group="other")
    messages = str(Prompt(criterion, "json", tuple(examples)).messages(other))
    assert examples
    assert messages.count("because of") == len(examples)


def test_no_example_is_a_test_row_or_a_drawn_row_or_in_a_group_of_one(workspace, tmp_path, capsys):
    """Rows come in pairs, which are groups; the first of each pair is reviewed."""
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"id": n, "output": f"word{n} text{n}", "group": f"g{n // 2}"})
            for n in range(20)
        )
    )
    labels = workspace.add_criterion(workspace.upload_dataset(file), "faithfulness")
    rows = list(workspace.stores.datasets.rows(labels))
    with workspace.stores.database.writing() as session:
        for n, row in enumerate(rows):
            if n % 2 == 0:
                new = NewLabel(float(n % 4 == 0), "human", "ann", "pilot")
                record(session, row.id, "faithfulness", new)
        drawn = NewLabel(1.0, "human", "ann", "random")
        record(session, rows[1].id, "faithfulness", drawn)
        # By another criterion: it does not count here.
        session.add(item(rows[3], "toxicity"))
        # Not reviewed yet.
        session.add(item(rows[5], "faithfulness"))
        # A reviewed row, and the second of another pair.
        held_out = DatasetRow.id.in_([rows[6].id, rows[9].id])
        session.execute(update(DatasetRow).where(held_out).values(part="test"))
    groups = {
        row.group
        for row in reviewed_examples(
            workspace.stores, labels, 20, JobReporter(workspace.stores.jobs, 1)
        )
    }
    assert groups == {f"g{n}" for n in range(10)} - {"g0", "g2", "g3", "g4"}
    assert "6 examples, 2 of them good" in capsys.readouterr().out
    with workspace.stores.database.writing() as session:
        session.execute(update(DatasetRow).where(DatasetRow.position % 2 == 1).values(part="test"))
    assert not reviewed_examples(
        workspace.stores, labels, 20, JobReporter(workspace.stores.jobs, 1)
    )
    assert "kept for measuring" in capsys.readouterr().out


def item(row, criterion):
    return ReviewItem(
        dataset_id=row.dataset_id,
        row_id=row.id,
        criterion=criterion,
        selection="random",
        rank=0,
    )


def test_another_process_with_the_job_s_pid_is_not_the_job(workspace):
    with workspace.stores.database.writing() as session:
        session.add(
            Job(
                kind="label",
                title="x",
                parameters={},
                state="running",
                pid=os.getpid(),
                pid_started=psutil.Process().create_time() - 100,
            )
        )
    (job,) = workspace.stores.jobs.recent()
    assert job.state == "failed"
    assert workspace.stores.jobs.stop(job.id).state == "failed"


def test_a_job_outlives_the_process_that_started_it(tmp_path, traces, judge):
    script = f"""
from tipstaff_trainer import Workspace
workspace = Workspace({str(tmp_path / "w")!r})
dataset = workspace.upload_dataset({str(traces)!r})
workspace.label_dataset(dataset, criterion="answer-correctness",
                        model="judge-1", base_url={judge.url!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    workspace = Workspace(tmp_path / "w")
    assert workspace.wait_for(1, timeout=60).state == "done"
    assert "60/60" in workspace.stores.jobs.log(1)
    workspace.close()


def test_a_log_has_no_overwritten_progress_bars(workspace):
    folder = workspace.stores.jobs.folder(7)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_bytes(b"one\n  5%\r 50%\r100%\nlast")
    assert workspace.stores.jobs.log(7) == "one\n100%\nlast"
    assert workspace.stores.jobs.log(7, most=8) == "last"
    assert workspace.stores.jobs.log(8) == ""


FULL = """
import resource, signal, sys
from pathlib import Path
from sqlalchemy import func, select
from tipstaff_trainer import Workspace
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.workspace.db.models import DatasetRow
workspace = Workspace(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = Path(sys.argv[1], "workspace.sqlite-wal").stat().st_size + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
def stored():
    with workspace.stores.database.reading() as session:
        return session.scalar(select(func.count()).select_from(DatasetRow))
try:
    workspace.upload_dataset(sys.argv[2], name="too much")
except WorkspaceError as error:
    print(error)
print("rest:", stored(), *(each.name for each in workspace.stores.datasets.all()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("enough:", workspace.upload_dataset(sys.argv[2], name="enough").rows, stored())
"""


@pytest.mark.parametrize(("room", "some"), [(20_000, False), (3_000_000, True)])
def test_a_full_disk_is_reported_and_loses_nothing(workspace, labels, tmp_path, room, some):
    """At the first part of an upload, or after some parts, which then can't even be deleted."""
    large = tmp_path / "large.jsonl"
    large.write_text("\n".join(f'{{"input": "{n} {"x" * 200}"}}' for n in range(6000)))
    process = subprocess.run(
        [sys.executable, "-c", FULL, str(workspace.folder), str(large), str(room)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    assert "make room on the disk" in process.stdout
    (rest,) = (line.split() for line in process.stdout.splitlines() if line.startswith("rest:"))
    assert rest[2:] == ["traces"]
    assert (int(rest[1]) > 60) is some
    assert len(list(workspace.stores.datasets.rows(labels))) == 60
    # Once there is room, the first try is deleted and the second is complete.
    assert "enough: 6000 6060" in process.stdout
