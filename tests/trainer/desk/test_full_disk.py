"""A desk with a full disk: it shows what is stored and reports what fails."""

from __future__ import annotations

import json
import resource
from contextlib import contextmanager

import psutil
import pytest
from desk_forms import hidden
from judge_server import Behaviour, JudgeServer
from running_server import wait_until

ROWS = 300


@contextmanager
def full(*others):
    """Stops this process and others from growing files, like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for process in (psutil.Process(), *others):
        process.rlimit(psutil.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def dataset(workspace, tmp_path):
    file = tmp_path / "traces.jsonl"
    file.write_text("\n".join(json.dumps({"output": f"Paris {n}"}) for n in range(ROWS)))
    return workspace.upload_dataset(file)


def test_a_job_that_the_full_disk_ended_takes_nothing_else_with_it(visit, workspace, dataset):
    browser = visit()
    with JudgeServer(Behaviour(delay=0.05)) as judge:
        settings = {"model": "judge-1", "base_url": judge.url, "concurrency": 1}
        job = workspace.label_dataset(dataset, criterion="toxicity", **settings)
        wait_until(lambda: workspace.stores.jobs.get(job.id).done >= 5, 60)
        process = psutil.Process(job.pid)
        with full(process):
            wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, 60)
            for path in ("/datasets", f"/datasets/{dataset.id}", "/jobs", "/criteria", "/review"):
                assert browser.get(path).status_code == 200
            page = browser.get(f"/jobs/{job.id}").text
            assert "can&#39;t be recorded" in page
            assert "make room on the disk" in page
            assert "Traceback" not in page
            refused = browser.post(f"/jobs/{job.id}/resume", data=hidden(page) | {"back": "/jobs"})
            assert (refused.status_code, "make room on the disk" in refused.text) == (200, True)
        judge.behaviour.delay = 0.0
        page = browser.get(f"/jobs/{job.id}").text
        assert "resume the job to continue, nothing is lost" in page
        browser.post(f"/jobs/{job.id}/resume", data=hidden(page))
        assert workspace.wait_for(job, timeout=60).message == f"{ROWS} of {ROWS} rows are labelled"
        # One call may have been under way.
        assert judge.behaviour.seen <= ROWS + 1


def test_a_row_stays_with_its_note_until_its_label_can_be_stored(visit, workspace, dataset):
    labels = workspace.add_criterion(dataset, "toxicity")
    workspace.stores.reviews.queue(labels, {"random": 3})
    browser = visit()
    here = f"/review/{dataset.id}?criterion=toxicity"
    browser.post("/name", data=hidden(browser.get(here).text) | {"name": "Ann"})
    form = hidden(browser.get(here).text)
    with full():
        for action in ("good", "bad", "skip"):
            page = browser.post(here, data=form | {"action": action, "note": "why <this>"})
            assert page.status_code == 400
            assert page.text.count("make room on the disk") == 1
            assert f'name="item" value="{form["item"]}"' in page.text
            assert 'value="why &lt;this&gt;"' in page.text
    browser.post(here, data=hidden(page.text) | {"action": "good", "note": "why <this>"})
    given = workspace.stores.datasets.labels(
        workspace.stores.reviews.item(int(form["item"])).row_id, labels
    )
    assert [(each.who, each.reason) for each in given] == [("Ann", "why <this>")]
