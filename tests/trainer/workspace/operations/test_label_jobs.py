"""Labelling jobs: each pays for itself, needs its key, and fails if it labelled nothing."""

from __future__ import annotations

import sqlite3

import pytest
from judge_server import Behaviour, JudgeServer

from tipstaff.errors import UsageError
from tipstaff_trainer.errors import WorkspaceError
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.replies import Reply
from tipstaff_trainer.workspace.db.models import Job

PAID = Reply("Yes", "stop", (), 900, 100)


@pytest.fixture
def judge():
    with JudgeServer(Behaviour()) as server:
        yield server


def start(workspace, dataset, judge, criterion="answer-correctness", **settings):
    return workspace.label_dataset(
        dataset, criterion=criterion, model="judge-1", base_url=judge.url, patience=1, **settings
    )


def test_a_job_s_budget_counts_no_other_job_s_calls(workspace, dataset, judge, run_job):
    first = run_job(start(workspace, dataset, judge))
    assert first.state == "done"
    spent = first.result["tokens"]
    assert spent > 0
    # Another criterion, with a budget that the first job alone would have spent.
    second = run_job(
        start(workspace, dataset, judge, "relevance", max_tokens_total=spent, max_reply_tokens=20)
    )
    assert second.result["labelled"] > 0
    assert 0 < second.result["tokens"] <= spent
    # The same questions again cost nothing.
    third = run_job(start(workspace, dataset, judge))
    assert (third.state, third.result["tokens"]) == ("done", 0)


def test_a_resumed_job_goes_on_from_its_own_spending(workspace, dataset, judge, run_job):
    limits = {"max_tokens_total": 3000, "max_reply_tokens": 20, "concurrency": 1}
    job = run_job(start(workspace, dataset, judge, **limits))
    assert (job.state, "the budget is spent" in job.message) == ("stopped", True)
    assert 0 < job.result["labelled"] < 60
    asked = judge.behaviour.seen
    again = run_job(workspace.stores.jobs.resume(job.id))
    assert (again.state, again.result["tokens"]) == ("stopped", job.result["tokens"])
    assert judge.behaviour.seen == asked
    # A new job has a budget of its own for the rows that are left.
    new = run_job(start(workspace, dataset, judge, only="unlabelled", **limits))
    assert new.result["labelled"] > 0


def test_a_ledger_counts_by_account_and_grows_from_an_older_one(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, account="a") as ledger:
        ledger.add("1", "m", [PAID])
    old = sqlite3.connect(path)
    old.execute("ALTER TABLE replies DROP COLUMN account")
    old.execute("ALTER TABLE batches DROP COLUMN account")
    old.close()
    with Ledger(path, account="a") as ledger:
        # Who paid for it is no longer known; the reply is still there.
        assert (ledger.spent("m"), ledger.replies("1")) == ((0, 0), [PAID])
        ledger.add("2", "m", [PAID])
        ledger.add("3", "other", [PAID])
    with Ledger(path, account="a") as ledger, Ledger(path, account="b") as other:
        assert (ledger.spent("m"), other.spent("m")) == ((900, 100), (0, 0))
        ledger.open_batch("file", "url", "m", ["4"])
        # Collected by another: it stays the first one's.
        assert list(other.collect("file", "m", [("4", [PAID])])) == []
        assert (ledger.spent("m"), other.spent("m")) == ((1800, 200), (0, 0))
        assert other.replies("4") == [PAID]


def test_a_job_that_labelled_nothing_has_failed(workspace, judge, run_job, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("output\n" + "\n".join(f"[[mumble]] {n}" for n in range(5)))
    dataset = workspace.upload_dataset(file)
    job = run_job(start(workspace, dataset, judge, "toxicity", attempts=1))
    assert job.state == "failed"
    assert job.message.startswith("no row is labelled: 5 could not be: row 1: ")


def test_a_budget_below_one_call_fails_the_job(workspace, dataset, judge, run_job):
    job = run_job(start(workspace, dataset, judge, max_tokens_total=10))
    assert job.state == "failed"
    assert job.message.startswith("no row is labelled: the budget is spent: 0 of 10 tokens")
    assert judge.behaviour.seen == 0


@pytest.mark.usefixtures("queued")
def test_a_key_that_is_not_set_is_named_before_a_job_starts(workspace, dataset, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = {"criterion": "relevance", "model": "m"}
    with pytest.raises(UsageError, match="key_variable OPENAI_API_KEY: is not set"):
        workspace.label_dataset(dataset, **settings)
    monkeypatch.setenv("OTHER_API_KEY", " ")
    with pytest.raises(UsageError, match="key_variable OTHER_API_KEY: is not set"):
        workspace.label_dataset(dataset, **settings, key_variable="OTHER_API_KEY")
    assert not workspace.stores.jobs.recent()
    assert [each.criterion for each in workspace.stores.datasets.get(dataset).label_sets] == [""]
    # People run plain endpoints themselves, mostly without a key.
    for endpoint in ({"base_url": "http://127.0.0.1:9/v1"}, {"key_variable": ""}):
        assert workspace.label_dataset(dataset, **settings, **endpoint).state == "queued"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert workspace.label_dataset(dataset, **settings).state == "queued"


def test_a_resumed_job_names_its_missing_key(workspace, dataset, run_job, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    job = workspace.label_dataset(dataset, criterion="relevance", model="m")
    monkeypatch.delenv("OPENAI_API_KEY")
    failed = run_job(job)
    assert failed.state == "failed"
    assert failed.message.startswith("Key variable OPENAI_API_KEY: is not set")


@pytest.mark.usefixtures("queued")
@pytest.mark.parametrize("only", ["human", "judge", "disputed", "test", "funny"])
def test_a_criterion_is_not_added_for_rows_that_do_not_exist(workspace, dataset, only):
    with pytest.raises(WorkspaceError):
        workspace.label_dataset(
            dataset, criterion="relevance", model="m", base_url="http://127.0.0.1:9/v1", only=only
        )
    assert [each.criterion for each in workspace.stores.datasets.get(dataset).label_sets] == [""]


@pytest.mark.usefixtures("queued")
def test_equal_labellings_are_one_job(workspace, dataset, judge):
    first = start(workspace, dataset, judge, pilot=True)
    assert start(workspace, dataset, judge, pilot=True).id == first.id
    assert len(workspace.stores.reviews.waiting(workspace.label_set(dataset))) == 16
    assert start(workspace, dataset, judge).id != first.id
    with workspace.stores.database.writing() as session:
        session.get(Job, first.id).state = "done"
    assert start(workspace, dataset, judge, pilot=True).id != first.id
