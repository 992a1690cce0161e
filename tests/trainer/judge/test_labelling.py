"""Labelling against a server that speaks the protocol, faults included."""

from __future__ import annotations

import re
import threading
import time

import judge_server
import pytest
from judge_rows import Recorder, capitals, row

from tipstaff.errors import UsageError
from tipstaff_trainer.errors import JudgeError
from tipstaff_trainer.judge import pace
from tipstaff_trainer.judge.criteria import load_criterion
from tipstaff_trainer.judge.labelling import label_rows
from tipstaff_trainer.judge.ledger import Ledger
from tipstaff_trainer.judge.settings import JudgeSettings

CRITERION = load_criterion("answer-correctness")


def labels(done):
    return [judged.label for judged in done.rows]


def test_soft_labels_from_log_probabilities(judge, ledger, server):
    rows = [*capitals(4), row("Perhaps Paris.", id="p"), row("Perhaps Lyon.", id="q")]
    done = label_rows(rows, CRITERION, judge(), ledger)
    assert labels(done) == pytest.approx([0.95, 0.05, 0.95, 0.05, 0.6, 0.4])
    assert {judged.kind for judged in done.rows} == {"logprobs"}
    assert next(iter(done.rows)).reason == "The answer says what the reference says."
    assert server.behaviour.calls.total() == 6
    assert done.tokens > 6 * 100


def test_without_log_probabilities_the_share_of_samples(judge, ledger, server, recorder):
    server.behaviour.logprobs = "no"
    rows = [row(f"Perhaps Paris, {index}.", id=str(index)) for index in range(40)]
    done = label_rows(rows, CRITERION, judge(samples=4), ledger, reporter=recorder)
    found = labels(done)
    assert set(found) <= {0, 0.25, 0.5, 0.75, 1}
    assert 0.45 < sum(found) / 40 < 0.75
    assert {judged.kind for judged in done.rows} == {"samples"}
    assert any("asked 4 times" in note for note in recorder.notes)


def test_an_endpoint_that_refuses_log_probabilities_is_asked_without(
    judge, ledger, server, recorder
):
    server.behaviour.logprobs = "refused"
    done = label_rows(capitals(2), CRITERION, judge(samples=3), ledger, reporter=recorder)
    assert labels(done) == [1, 0]
    assert any("refused logprobs" in note for note in recorder.notes)
    with pytest.raises(JudgeError, match=r"soft logprobs: .*; choose samples or verdict"):
        label_rows(capitals(2), CRITERION, judge(soft="logprobs"), ledger)


def test_one_sample_is_a_bare_verdict(judge, ledger, server):
    server.behaviour.logprobs = "no"
    done = label_rows(capitals(2), CRITERION, judge(samples=1), ledger)
    assert [(judged.label, judged.kind) for judged in done.rows] == [(1, "verdict"), (0, "verdict")]


@pytest.mark.parametrize("lacking", ["structured", "several", "temperature", "usage"])
def test_what_an_endpoint_lacks_is_done_without(judge, ledger, server, lacking, recorder):
    setattr(server.behaviour, lacking, False)
    done = label_rows(
        capitals(3), CRITERION, judge(soft="samples", samples=3), ledger, reporter=recorder
    )
    assert labels(done) == [1, 0, 1]
    assert done.tokens > 0
    refused = {"structured": "response_format", "temperature": "temperature"}
    if lacking in refused:
        assert any(f"refused {refused[lacking]}" in note for note in recorder.notes)


def test_reasoning_models_of_openai(judge, ledger, server):
    """They refuse logprobs with a 403, any temperature but 1, and the name max_tokens."""
    server.behaviour.refusals = {
        "max_tokens": (400, {"error": {
            "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.", "param": "max_tokens"}}),
        "temperature": (400, {"error": {
            "message": "Unsupported value: 'temperature' does not support 0 with this model.",
            "param": "temperature"}}),
        "logprobs": (403, {"error": {
            "message": "You are not allowed to request logprobs from this model.", "param": None}}),
    }  # fmt: skip
    server.behaviour.keep_bodies = True
    done = label_rows(capitals(4), CRITERION, judge(samples=3), ledger)
    assert labels(done) == [1, 0, 1, 0]
    assert {judged.kind for judged in done.rows} == {"samples"}
    assert server.behaviour.bodies[-1]["max_completion_tokens"] == 300


def test_one_row_that_is_forbidden_does_not_stop_the_job(judge, ledger, server):
    rows = [*capitals(2), row("Paris [[status 403]]", id="x"), row("Lyon", id="y")]
    done = label_rows(rows, CRITERION, judge(concurrency=1), ledger)
    assert [label is None for label in labels(done)] == [False, False, True, False]
    with pytest.raises(JudgeError, match=r"HTTP 403.*name it in key_variable"):
        label_rows([rows[2]], CRITERION, judge(), ledger)


def test_log_probabilities_of_something_else_are_no_reason_to_take_bare_verdicts(
    judge, ledger, server, monkeypatch, recorder
):
    """For example, the first tokens may be a reasoning model's thoughts."""
    monkeypatch.setattr(
        judge_server, "_logprobs", lambda text, belief, count: [
            {"token": "<think>", "logprob": -0.001, "top_logprobs": []}
        ]
    )  # fmt: skip
    done = label_rows(capitals(7), CRITERION, judge(samples=3), ledger, reporter=recorder)
    assert {judged.kind for judged in done.rows} == {"samples"}
    assert any("don't tell Yes from No" in note for note in recorder.notes)


def test_a_web_page_or_no_tls_is_said_at_once(judge, ledger, server):
    settings = judge().model_copy(update={"base_url": server.url.replace("http:", "https:")})
    with pytest.raises(JudgeError, match=r"SSL.*use http:// if the endpoint has no TLS"):
        label_rows(capitals(2), CRITERION, settings, ledger)
    server.behaviour.page = True
    with pytest.raises(JudgeError, match=r"a web page came back \('<html>Sign in.*check base_url"):
        label_rows(capitals(2), CRITERION, judge(), ledger)
    assert server.behaviour.seen == 1


def test_structured_output_is_asked_for_and_validated(judge, ledger, server):
    server.behaviour.keep_bodies = True
    rows = [row("Paris [[mumble x1]]", id="1"), row("Paris [[mumble]]", id="2")]
    done = label_rows(rows, CRITERION, judge(soft="verdict", attempts=2), ledger)
    schema = server.behaviour.bodies[0]["response_format"]["json_schema"]
    assert schema["strict"]
    assert list(schema["schema"]["properties"]) == ["reason", "verdict"]
    assert labels(done) == [1, None]
    assert [judged.failure for judged in done.rows] == ["", "none of 2 replies could be read"]
    # Unreadable replies are paid for too: a row that failed is not tried again.
    label_rows(rows, CRITERION, judge(soft="verdict", attempts=2), ledger)
    assert server.behaviour.seen == 4


FAULTS = ("status 500 x2", "status 503 x1", "garbled x1", "cut x1", "empty x1", "retry-after 0 x3")


def test_faults_are_outlasted(judge, ledger, server):
    rows = [*capitals(3), *(row(f"Paris [[{fault}]]", id=fault) for fault in FAULTS)]
    done = label_rows(rows, CRITERION, judge(), ledger)
    assert labels(done)[3:] == pytest.approx([0.95] * len(FAULTS))
    assert server.behaviour.calls.total() == len(rows)
    # Each fault occurred as often as its row says, and each cost a call.
    assert server.behaviour.seen == len(rows) + 2 + 1 + 1 + 1 + 1 + 3


def test_a_row_that_fails_for_ever_is_left_out_and_does_not_stop_the_job(
    judge, ledger, monkeypatch
):
    monkeypatch.setattr(pace, "_FIRST_BACKOFF", 0.01)
    rows = [*capitals(3), row("Paris [[status 500]]", id="f")]
    done = label_rows(rows, CRITERION, judge(patience=0.01), ledger)
    assert labels(done)[:3] == pytest.approx([0.95, 0.05, 0.95])
    assert "failed 6 times: HTTP 500" in list(done.rows)[-1].failure


def test_a_slow_reply_is_given_up_and_asked_for_again(judge, ledger, server):
    rows = [*capitals(1), row("Paris [[slow 30 x1]]", id="s")]
    started = time.monotonic()
    done = label_rows(rows, CRITERION, judge(timeout=0.5), ledger)
    assert labels(done)[-1] == pytest.approx(0.95)
    assert time.monotonic() - started < 10


def test_retry_after_holds_for_every_call(judge, ledger, server):
    rows = [row("Paris [[retry-after 1 x1]]", id="r"), *capitals(20)]
    started = time.monotonic()
    done = label_rows(rows, CRITERION, judge(soft="verdict", concurrency=1), ledger)
    assert None not in labels(done)
    assert 1 <= time.monotonic() - started < 4


def test_a_rate_limit_is_kept_to_when_it_is_met(judge, ledger, server):
    server.behaviour.rate = 20
    done = label_rows(capitals(40), CRITERION, judge(concurrency=16), ledger)
    assert None not in labels(done)
    # Few calls were refused, compared with those answered.
    assert server.behaviour.seen < 40 + 40


@pytest.mark.parametrize("delay", [0, 0.3])
def test_calls_come_as_fast_as_a_limit_lets_them_and_few_in_vain(judge, ledger, server, delay):
    """When all calls resumed at once after a pause, up to five were refused per answer."""
    server.behaviour.rate, server.behaviour.delay = 40, delay
    started = time.monotonic()
    done = label_rows(capitals(160), CRITERION, judge(concurrency=64), ledger)
    assert None not in labels(done)
    # Each of the calls that start together may be refused once.
    assert server.behaviour.seen < 160 + 64 + 40
    assert time.monotonic() - started < 3 * 160 / 40


def test_an_endpoint_that_comes_up_slowly_is_not_asked_slowly_for_ever(judge, ledger, server):
    rows = [row("Paris [[retry-after 0.2 x5]]", id="r"), *capitals(20)]
    started = time.monotonic()
    done = label_rows(rows, CRITERION, judge(), ledger)
    assert None not in labels(done)
    assert 1 <= time.monotonic() - started < 6


def test_refusals_with_no_answer_between_them_teach_no_pace():
    def learned(refusals):
        limit = pace.LearnedLimit()
        for second in range(20):
            limit.began(float(second), held=False)
            limit.answered()
        for second in range(20, 20 + refusals):
            limit.began(float(second), held=True)
            limit.refused(second + 0.1, 1.0)
        return limit.interval

    assert 0.5 < learned(1) < 2
    assert learned(50) == learned(1)


def test_a_silence_of_our_own_is_no_pace_of_the_endpoints():
    limit = pace.LearnedLimit()
    for call in range(20):
        limit.began(call * 0.1, held=False)
        limit.answered()
    limit.began(300.0, held=False)
    limit.refused(300.1, 1.0)
    assert limit.interval < 0.25


def test_a_refused_part_of_a_call_is_named_and_ends_the_job(judge, ledger, server):
    server.behaviour.refusals = {
        "min_max_tokens": (400, {"error": {"message": "Unknown parameter: 'min_max_tokens'."}})
    }
    settings = judge(extra_body={"min_max_tokens": 3})
    with pytest.raises(
        JudgeError, match="extra_body min_max_tokens: the endpoint refused it: HTTP 400"
    ):
        label_rows(capitals(3), CRITERION, settings, ledger)
    assert server.behaviour.seen == 1


def test_pace_and_concurrency_are_kept(judge, ledger, server):
    server.behaviour.delay = 0.05
    started = time.monotonic()
    label_rows(capitals(12), CRITERION, judge(concurrency=3), ledger)
    assert server.behaviour.most_at_once == 3
    assert time.monotonic() - started >= 11 / 3 * 0.05
    server.behaviour.delay = 0
    started = time.monotonic()
    settings = judge(requests_per_minute=600, soft="verdict")
    label_rows(capitals(8), CRITERION, settings, ledger)
    assert time.monotonic() - started >= 7 * 0.1


def test_a_row_that_is_refused_is_left_out_and_counted(judge, ledger, server):
    rows = [*capitals(2), row("Paris [[status 400]]", id="x")]
    done = label_rows(rows, CRITERION, judge(), ledger)
    refused = list(done.rows)[-1]
    assert refused.label is None
    assert "HTTP 400: the server was told to say 400" in refused.failure
    assert refused.record()["label"] is None
    assert done.settled == 3


def test_the_wrong_key_stops_the_job_at_once(judge, ledger, server):
    server.behaviour.key = "secret"
    with pytest.raises(JudgeError, match=r"HTTP 401: Incorrect API key.*name it in key_variable"):
        label_rows(capitals(50), CRITERION, judge(), ledger)
    assert server.behaviour.seen == 1
    done = label_rows(capitals(2), CRITERION, judge(), ledger, api_key="secret")
    assert None not in labels(done)


def test_the_wrong_address_says_so(judge, ledger, server):
    settings = judge().model_copy(update={"base_url": server.url + "/v2"})
    with pytest.raises(JudgeError, match=r"HTTP 404.*check base_url"):
        label_rows(capitals(2), CRITERION, settings, ledger)


def test_the_breaker_spares_an_endpoint_that_is_down(judge, ledger, server):
    """Rows keep their attempts, and only one call at a time tries the endpoint."""
    label_rows(capitals(1), CRITERION, judge(), ledger)
    server.behaviour.down = 502
    threading.Timer(2.5, lambda: setattr(server.behaviour, "down", 0)).start()
    done = label_rows(capitals(30), CRITERION, judge(concurrency=16), ledger)
    assert None not in labels(done)
    asked_in_vain = server.behaviour.seen - server.behaviour.calls.total()
    assert asked_in_vain < 30


def test_an_endpoint_that_stays_down_stops_the_job(judge, ledger, server):
    label_rows(capitals(1), CRITERION, judge(), ledger)
    server.behaviour.down = 502
    with pytest.raises(JudgeError, match=r"not answered for .*502.*kept: run the labelling again"):
        label_rows(capitals(30), CRITERION, judge(patience=1), ledger)


def test_nobody_there(ledger, judge, monkeypatch):
    monkeypatch.setattr(pace, "_FIRST_BACKOFF", 0.1)
    settings = judge(patience=0.5).model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(JudgeError, match="has not answered"):
        label_rows(capitals(5), CRITERION, settings, ledger)


def test_a_budget_in_tokens_is_not_exceeded_and_counts_what_was_paid_before(judge, ledger, server):
    limit = 5000
    rows = capitals(60)
    first = label_rows(rows, CRITERION, judge(max_tokens_total=limit, max_reply_tokens=20), ledger)
    assert "the budget is spent" in first.stopped
    assert limit - 500 < first.tokens <= limit
    known = [label for label in labels(first) if label is not None]
    assert 5 < len(known) < 60
    again = label_rows(rows, CRITERION, judge(max_tokens_total=limit, max_reply_tokens=20), ledger)
    assert again.stopped
    assert server.behaviour.seen == len(known)
    more = label_rows(rows, CRITERION, judge(max_reply_tokens=20), ledger)
    assert None not in labels(more)
    assert server.behaviour.seen == 60


def test_a_budget_in_money(judge, ledger):
    settings = judge(max_cost=0.002, price_input=1, price_output=4, max_reply_tokens=20)
    done = label_rows(capitals(60), CRITERION, settings, ledger)
    assert 0.0015 < done.cost <= 0.002
    with pytest.raises(UsageError, match="needs the prices"):
        judge(max_cost=1)


def test_a_judge_that_never_keeps_to_the_form_is_not_paid_for_long(judge, ledger, server):
    rows = [row(f"Paris {index} [[mumble]]", id=str(index)) for index in range(200)]
    with pytest.raises(JudgeError, match=r"not one of the first 20 rows.*Well, it depends"):
        label_rows(rows, CRITERION, judge(attempts=1), ledger)
    assert server.behaviour.seen < 50


def test_a_judge_that_keeps_to_one_form_and_not_to_the_other_is_not_paid_for_long(
    judge, ledger, server, monkeypatch
):
    complete = judge_server._Endpoint.complete
    monkeypatch.setattr(
        judge_server._Endpoint,
        "complete",
        lambda self, body, **_: complete(
            self, body, mumble="JSON" in body["messages"][-1]["content"]
        ),
    )
    server.behaviour.logprobs = "no"
    with pytest.raises(JudgeError, match="not one of the first 20 rows"):
        label_rows(capitals(200), CRITERION, judge(attempts=1), ledger)
    assert server.behaviour.seen < 60


def test_nothing_is_paid_for_twice(judge, ledger, server):
    rows = capitals(20)
    label_rows(rows[:10], CRITERION, judge(), ledger)
    done = label_rows(rows, CRITERION, judge(), ledger)
    assert None not in labels(done)
    assert server.behaviour.calls.total() == 20
    # Rows with the same texts share a call, even when both are under way.
    same = [row("Paris, twice", id="a"), row("Paris, twice", id="b")]
    label_rows(same, CRITERION, judge(), ledger)
    assert server.behaviour.calls.total() == 21
    # Other sampling or other examples need new calls.
    label_rows(rows[:1], CRITERION, judge(temperature=0.5), ledger)
    example = (row("Nice.", id="e", label=0.0),)
    label_rows(rows[:1], CRITERION, judge(), ledger, examples=example)
    assert server.behaviour.calls.total() == 23


def test_stopping_lets_the_calls_on_their_way_come_home(judge, ledger, server):
    server.behaviour.delay = 0.05
    stop = threading.Event()

    class Stopping(Recorder):
        def step(self, done, total, message=""):
            super().step(done, total, message)
            if done >= 8:
                stop.set()

    recorder = Stopping()
    done = label_rows(
        capitals(60), CRITERION, judge(concurrency=4), ledger, reporter=recorder, stop=stop
    )
    assert done.stopped == "stopped"
    assert recorder.steps == sorted(recorder.steps)
    known = sum(label is not None for label in labels(done))
    assert 8 <= known <= 12
    assert server.behaviour.calls.total() == known


def test_what_is_paid_for_comes_home_when_the_endpoint_ends_the_job(
    judge, ledger, server, recorder
):
    slow = [row(f"Paris {index} [[slow 0.5]]", id=f"s{index}") for index in range(3)]
    first, broke = row("Paris", id="1"), row("Lyon [[status 402]]", id="2")
    with pytest.raises(JudgeError, match="HTTP 402"):
        label_rows(
            [first, *slow, broke, *capitals(20)],
            CRITERION,
            judge(concurrency=5),
            ledger,
            reporter=recorder,
        )
    assert re.search("HTTP 402.*: stopping after the calls on their way", recorder.notes[-1])
    paid = server.behaviour.calls.total()
    assert 4 <= paid < 10
    done = label_rows([first, *slow], CRITERION, judge(), ledger)
    assert None not in labels(done)
    assert server.behaviour.calls.total() == paid


def test_further_parts_of_a_call_are_sent_and_make_another_question(judge, ledger, server):
    server.behaviour.keep_bodies = True
    label_rows(capitals(2), CRITERION, judge(), ledger)
    settings = judge(extra_body='{"reasoning_effort": "low", "provider": {"sort": "price"}}')
    label_rows(capitals(2), CRITERION, settings, ledger)
    before, after = server.behaviour.bodies[1], server.behaviour.bodies[3]
    further = {"reasoning_effort": "low", "provider": {"sort": "price"}}
    assert after == before | further
    assert server.behaviour.calls.total() == 4
    # Without an extra body, or with an empty one, the request is the same as before.
    label_rows(capitals(2), CRITERION, judge(extra_body={}), ledger)
    assert server.behaviour.calls.total() == 4


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("reasoning_effort=low", "not a JSON object such as"),
        ("[1]", "not a JSON object such as"),
        ('{"seed": NaN}', "not a JSON object such as"),
        ('{"n": 3, "model": "other"}', "leave out model, n: the settings of model"),
    ],
)
def test_further_parts_that_will_not_do(judge, given, says):
    with pytest.raises(ValueError, match=says):
        judge(extra_body=given)


def test_a_persons_label_stands_and_the_judges_is_beside_it(judge, ledger):
    rows = [
        row("Paris", id="1", label=0.0, label_source="human", selection="random"),
        row("Lyon", id="2", label=1.0, label_source="other", extra={"system": "a"}),
    ]
    human, other = (each.record() for each in label_rows(rows, CRITERION, judge(), ledger).rows)
    assert (human["label"], human["label_source"], human["judge_label"]) == (0, "human", 0.95)
    assert human["selection"] == "random"
    assert (other["label"], other["label_source"], other["previous_label"]) == (0.05, "judge", 1)
    assert other["system"] == "a"
    assert (other["judge"], other["label_kind"]) == ("judge-1", "logprobs")
    assert len(other["prompt_hash"]) == 16


def test_a_ledger_that_is_none(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("not a database, and longer than the header of one" * 9)
    with pytest.raises(JudgeError, match="can't be used as a ledger"):
        Ledger(file)


def test_a_ledger_that_is_damaged_says_so(judge, tmp_path):
    file = tmp_path / "ledger.sqlite"
    with Ledger(file) as ledger:
        label_rows(capitals(60), CRITERION, judge(), ledger)
    content = file.read_bytes()
    file.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    with pytest.raises(JudgeError, match="ledger"), Ledger(file) as ledger:
        label_rows(capitals(60), CRITERION, judge(), ledger)


def test_a_ledger_for_one_job_alone(tmp_path):
    file = tmp_path / "ledger.sqlite"
    busy = pytest.raises(JudgeError, match="another job uses this ledger")
    with Ledger(file, exclusive=True), busy:
        Ledger(file, exclusive=True)
    Ledger(file, exclusive=True).close()


def test_an_endpoint_that_sends_on_elsewhere_is_said_at_once(judge, ledger, server):
    server.behaviour.down = 301
    with pytest.raises(JudgeError, match="check base_url"):
        label_rows(capitals(2), CRITERION, judge(), ledger)
    assert server.behaviour.seen == 1


def test_while_an_endpoint_is_down_somebody_is_told(judge, ledger, server, monkeypatch):
    monkeypatch.setattr(pace, "_FIRST_BACKOFF", 0.01)
    server.behaviour.down = 500

    class Restarting(Recorder):
        def note(self, message, *, remedy=""):
            super().note(message, remedy=remedy)
            server.behaviour.down = 0

    recorder = Restarting()
    label_rows(capitals(2), CRITERION, judge(), ledger, reporter=recorder)
    assert "doesn't answer (HTTP 500" in recorder.notes[0]
    assert sum("doesn't answer" in note for note in recorder.notes) == 1


def test_a_ledger_on_a_full_disk_says_so_and_keeps_what_it_has(judge, ledger):
    label_rows(capitals(2), CRITERION, judge(), ledger)
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JudgeError, match=r"can't be written: database or disk is full.*make room"):
        label_rows(capitals(400), CRITERION, judge(), ledger)
    ledger._db.execute("PRAGMA max_page_count = 100000")
    done = label_rows(capitals(400), CRITERION, judge(), ledger)
    assert None not in labels(done)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("https://me:secret@judge.example/v1", "no name or password"),
        ("http://", "not an endpoint's address"),
        ("http://localhost:99999/v1", "Port out of range"),
        ("http://local host/v1", "has a space"),
        ("http://localhost/v1?api-version=1", "paths are added to it"),
        ("http://localhost/v1/chat/completions/", "leave /chat/completions out"),
    ],
)
def test_an_address_that_will_not_do(address, says):
    with pytest.raises(ValueError, match=says):
        JudgeSettings(model="judge-1", base_url=address)


def test_a_key_fits_into_a_header(judge, ledger, server):
    """A key read from a file ends with a line break, which is removed."""
    server.behaviour.key = "secret"
    assert None not in labels(
        label_rows(capitals(1), CRITERION, judge(), ledger, api_key=" secret\n")
    )
    with pytest.raises(UsageError, match="no key: it has a line break") as refusal:
        label_rows(capitals(1), CRITERION, judge(), ledger, api_key="sec\nret")
    assert "ret" not in str(refusal.value)


@pytest.mark.parametrize("trouble", ["down", "busy"])
def test_a_job_is_stopped_while_it_waits_for_the_endpoint(
    judge, ledger, server, monkeypatch, trouble
):
    # The longest random backoff.
    monkeypatch.setattr(pace.random, "uniform", lambda low, high: high)
    monkeypatch.setattr(pace, "_FIRST_BACKOFF", 30.0)
    settings = judge(soft="verdict", concurrency=4, patience=25)
    label_rows(capitals(1), CRITERION, settings, ledger)
    rows = [row(f"Paris {index} [[retry-after 20]]", id=f"b{index}") for index in range(30)]
    if trouble == "down":
        rows = capitals(30)
        server.behaviour.down = 503
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    started = time.monotonic()
    done = label_rows(rows, CRITERION, settings, ledger, stop=stop)
    assert 0.9 < time.monotonic() - started < 5
    assert done.stopped == "stopped"
    asked_in_vain = server.behaviour.seen - server.behaviour.calls.total()
    assert 0 < asked_in_vain < 10
    # The rows were not given up: the same job labels the rest.
    server.behaviour.down = 0
    again = label_rows(capitals(30), CRITERION, settings, ledger)
    assert None not in labels(again)
    assert server.behaviour.calls.total() == 30
