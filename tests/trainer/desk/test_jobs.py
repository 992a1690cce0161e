"""The page of all jobs, which reloads while they run."""

from __future__ import annotations

import json

import pytest
from judge_server import Behaviour, JudgeServer
from playwright.sync_api import expect

from tipstaff_trainer.workspace.db.models import Job

RENEWED = "data-renew"


@pytest.fixture
def add_job(workspace):
    def add_job(kind):
        job = Job(kind=kind, title=f"to {kind}", parameters={}, state="queued")
        with workspace.stores.database.writing() as session:
            session.add(job)
        return job

    return add_job


def test_the_page_reloads_while_a_job_runs_that_ends(visit, workspace, add_job):
    browser = visit()
    add_job("serve")
    assert RENEWED not in browser.get("/jobs").text
    first, second = add_job("label"), add_job("train")
    assert f'{RENEWED}="/jobs/live?running=2"' in browser.get("/jobs").text
    renewed = browser.get("/jobs/live?running=2").text
    assert "to label" in renewed
    assert "data-ended" not in renewed
    # The page's head says how many run.
    workspace.stores.jobs.finish(first.id, "done", "all of them")
    renewed = browser.get("/jobs/live?running=2").text
    assert "data-ended" in renewed
    assert "all of them" in renewed
    assert f'{RENEWED}="/jobs/live?running=1"' in browser.get("/jobs").text
    workspace.stores.jobs.finish(second.id, "failed", "no")
    assert RENEWED not in browser.get("/jobs").text


def test_the_page_follows_a_job_until_it_ends(chromium, start_desk, workspace, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"output": f"Paris {n}"}) for n in range(60)))
    dataset = workspace.upload_dataset(file)
    desk = start_desk(workspace.folder)
    page = chromium.new_context(base_url=desk.url).new_page()
    page.set_default_timeout(60_000)
    with JudgeServer(Behaviour(delay=0.1)) as judge:
        settings = {"model": "judge-1", "base_url": judge.url, "concurrency": 1}
        workspace.label_dataset(dataset, criterion="toxicity", **settings)
        page.goto("/jobs")
        link = page.get_by_role("link", name="Label all rows of rows")
        link.focus()
        with page.expect_response("**/jobs/live*"):
            pass
        with page.expect_response("**/jobs/live*"):
            pass
        expect(link).to_be_focused()
        expect(page.get_by_role("link", name="1 job running")).to_be_visible()
        row = page.get_by_role("row", name="Label all rows")
        expect(row).to_contain_text("done", timeout=60_000)
        expect(page.get_by_role("link", name="Jobs", exact=True)).to_be_visible()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(4000)
    assert requests == []
    page.context.close()


def test_a_job_is_stopped_and_resumed_from_its_page(visit, workspace, add_job, monkeypatch):
    monkeypatch.setattr(workspace.stores.jobs, "_launch", workspace.stores.jobs.get)
    job, browser = add_job("label"), visit()
    here = f"/jobs/{job.id}"
    stopped = browser.post(f"{here}/stop", data={"back": here})
    assert "to label: stopped." in stopped.text
    assert "Resume</button>" in stopped.text
    resumed = browser.post(f"{here}/resume", data={"back": here})
    assert "Stop</button>" in resumed.text
    again = browser.post(f"{here}/resume", data={"back": here})
    assert "there is nothing to resume" in again.text


def test_only_reports_are_read_from_a_job_s_folder(visit, workspace, add_job):
    job, browser = add_job("evaluate"), visit()
    folder = workspace.stores.jobs.folder(job.id)
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "index.html").write_text("<p>quality</p>")
    (folder / "secret").write_text("secret")
    page = browser.get(f"/jobs/{job.id}/report/index.html")
    assert (page.status_code, page.text) == (200, "<p>quality</p>")
    assert "sandbox" in page.headers["content-security-policy"]
    for path in ("report/card.md", "report/secret", "comparison/index.html", "..%2f/secret"):
        missing = browser.get(f"/jobs/{job.id}/{path}")
        assert (missing.status_code, "secret</" in missing.text) == (404, False)


def test_what_a_labelling_cost_is_on_its_page(visit, workspace, add_job):
    job = add_job("label")
    workspace.stores.jobs.finish(job.id, "done", "all of them", tokens=12345, cost=0.5)
    assert "12,345 tokens, 0.5000 paid by this job." in visit().get(f"/jobs/{job.id}").text
