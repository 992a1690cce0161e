from __future__ import annotations

import json
import threading

import pytest
from judge_rows import Recorder, capitals, row

from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge import batch_files
from tipstaff_trainer.judge.criteria import load_criterion
from tipstaff_trainer.judge.labelling import label_rows
from tipstaff_trainer.judge.ledger import Ledger

CRITERION = load_criterion("answer-correctness")


def labels(done):
    return [judged.label for judged in done.rows]


@pytest.fixture
def settings(judge):
    return lambda **rest: judge(poll_interval=0.05, soft="verdict", **rest)


def test_a_batch_brings_what_calls_bring(settings, ledger, server):
    rows = [*capitals(10), row("Paris, twice", id="a"), row("Paris, twice", id="b")]
    done = label_rows(rows, CRITERION, settings(), ledger, batch=True)
    assert labels(done) == [1, 0] * 5 + [1, 1]
    # One call, to probe what the endpoint supports.
    assert server.behaviour.seen == 1
    assert len(server.behaviour.batches) == 1
    assert server.behaviour.calls.total() == 11
    assert done.settled == 12
    assert done.tokens > 11 * 100
    again = label_rows(rows, CRITERION, settings(), ledger, batch=True)
    assert labels(again) == labels(done)
    assert len(server.behaviour.batches) == 1


def test_rows_of_a_batch_are_handed_on_once_they_are_settled(settings, ledger, server):
    rows = [*capitals(3), row("Paris [[status 400]]", id="x")]
    handed = []
    done = label_rows(rows, CRITERION, settings(), ledger, batch=True, on_row=handed.append)
    settled = [judged for judged in done.rows if judged.label is not None]
    assert handed == settled
    assert len(handed) == 3


def test_many_questions_are_many_files(settings, ledger, server, monkeypatch):
    monkeypatch.setattr(batch_files, "_MOST_QUESTIONS", 4)
    done = label_rows(capitals(10), CRITERION, settings(), ledger, batch=True)
    assert None not in labels(done)
    assert len(server.behaviour.batches) == 3


def test_further_parts_of_a_call_are_on_each_line(settings, ledger, server):
    server.behaviour.keep_bodies = True
    further = {"reasoning_effort": "low"}
    done = label_rows(capitals(4), CRITERION, settings(extra_body=further), ledger, batch=True)
    assert labels(done) == [1, 0] * 2
    (batch,) = server.behaviour.batches.values()
    lines = server.behaviour.files[batch["input_file_id"]].splitlines()
    bodies = server.behaviour.bodies + [json.loads(line)["body"] for line in lines]
    assert len(bodies) == 4
    assert all(body["reasoning_effort"] == "low" for body in bodies)


def test_soft_labels_by_batch(judge, ledger, server):
    done = label_rows(capitals(4), CRITERION, judge(poll_interval=0.05), ledger, batch=True)
    assert labels(done) == pytest.approx([0.95, 0.05, 0.95, 0.05])
    # One call, to probe which kind of label is possible.
    assert server.behaviour.seen == 1


def test_what_failed_in_passing_is_sent_again_and_what_is_refused_is_not(settings, ledger, server):
    rows = [
        *capitals(2),
        row("Paris [[mumble x1]]", id="m"),
        row("Paris [[status 500 x1]]", id="s"),
        row("Paris [[retry-after 1 x1]]", id="r"),
        row("Paris [[status 400]]", id="x"),
    ]
    done = label_rows(rows, CRITERION, settings(), ledger, batch=True)
    assert labels(done) == [1, 0, 1, 1, 1, None]
    assert "HTTP 400" in list(done.rows)[-1].failure
    assert len(server.behaviour.batches) == 2


def test_a_job_that_is_killed_finds_its_batches_again(settings, tmp_path, server, monkeypatch):
    """Also at the worst moment: the batch exists, but isn't in the ledger yet."""
    path = tmp_path / "ledger.sqlite"

    class Killed(BaseException):
        pass

    def kill(self, file, batch):
        raise Killed

    with monkeypatch.context() as patched, Ledger(path) as ledger:
        patched.setattr(Ledger, "begin_batch", kill)
        with pytest.raises(Killed):
            label_rows(capitals(6), CRITERION, settings(), ledger, batch=True)
    assert len(server.behaviour.batches) == 1
    with Ledger(path) as ledger:
        done = label_rows(capitals(6), CRITERION, settings(), ledger, batch=True)
        assert None not in labels(done)
    assert len(server.behaviour.batches) == 1
    assert max(server.behaviour.calls.values()) == 1


def test_a_batch_that_fails_as_a_whole_says_why(settings, ledger, server):
    server.behaviour.fail_batches = "Enqueued token limit reached for judge-1."
    with pytest.raises(JudgeError, match="Enqueued token limit reached"):
        label_rows(capitals(3), CRITERION, settings(), ledger, batch=True)
    server.behaviour.fail_batches = ""
    assert None not in labels(label_rows(capitals(3), CRITERION, settings(), ledger, batch=True))


def test_the_budget_holds_for_batches(settings, ledger, server):
    limits = {"max_tokens_total": 5000, "max_reply_tokens": 20}
    done = label_rows(capitals(60), CRITERION, settings(**limits), ledger, batch=True)
    assert "the budget is spent" in done.stopped
    assert 0 < done.tokens <= 5000
    assert 5 < server.behaviour.calls.total() < 60


def test_a_file_that_is_named_like_a_path_stays_where_it_belongs(
    settings, ledger, server, monkeypatch, tmp_path
):
    """The endpoint chooses its files' ids, which must not decide where they are written."""
    folder = tmp_path / "temporary" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.setattr(batch_files.tempfile, "tempdir", str(folder))
    monkeypatch.setattr(batch_files, "_download", lambda endpoint, file, path: _write(path))
    monkeypatch.setattr(batch_files.BatchStatus, "model_validate", _hostile)
    label_rows(capitals(2), CRITERION, settings(attempts=1), ledger, batch=True)
    assert not list((tmp_path / "temporary").glob("evil*"))


async def _write(path):
    path.write_text("not JSON\n[]\n")
    return path


def _hostile(values):
    return batch_files.BatchStatus(id=values["id"], status="completed", output_file_id="../../evil")


def test_what_an_endpoint_refuses_is_found_out_before_a_file_is_sent(settings, ledger, server):
    server.behaviour.temperature = False
    done = label_rows(capitals(10), CRITERION, settings(), ledger, batch=True)
    assert labels(done) == [1, 0] * 5
    assert len(server.behaviour.batches) == 1


@pytest.mark.parametrize(
    ("status", "says"),
    [(400, "won't take a batch file: HTTP 400: No files"), (404, "leave out batch")],
)
def test_an_endpoint_without_batch_files_says_so(settings, ledger, server, status, says):
    server.behaviour.files_refused = status
    with pytest.raises(JudgeError, match=says):
        label_rows(capitals(3), CRITERION, settings(), ledger, batch=True)
    # Rows that were never sent may be labelled by calls.
    assert None not in labels(label_rows(capitals(3), CRITERION, settings(), ledger))


def test_a_batch_whose_making_was_not_confirmed_is_not_made_twice(
    settings, ledger, server, monkeypatch
):
    monkeypatch.setattr(batch_files, "_SECONDS_TO_A_LISTING", 0.01)
    server.behaviour.batches_lost = 1
    done = label_rows(capitals(6), CRITERION, settings(), ledger, batch=True)
    assert None not in labels(done)
    assert len(server.behaviour.batches) == 1
    assert max(server.behaviour.calls.values()) == 1


def test_what_is_on_its_way_in_a_batch_is_not_asked_by_calls(settings, ledger, server):
    """Also if the endpoint's address is spelled differently."""
    stop = threading.Event()

    class Stopping(Recorder):
        def note(self, message, *, remedy=""):
            if "on their way" in message:
                stop.set()

    stopped = label_rows(
        capitals(6), CRITERION, settings(), ledger, batch=True, reporter=Stopping(), stop=stop
    )
    assert stopped.stopped
    with pytest.raises(JudgeError, match="5 of the questions are on their way in batch files"):
        label_rows(capitals(6), CRITERION, settings(), ledger)
    again = settings(base_url=server.url + "/")
    assert None not in labels(label_rows(capitals(6), CRITERION, again, ledger, batch=True))
    assert max(server.behaviour.calls.values()) == 1
