"""How an application sees that answers are missing: the log, the counts, the hook."""

from __future__ import annotations

import logging
import re
import socket

import pytest

from tipstaff import (
    ClientEvent,
    EventKind,
    Interaction,
    InvalidRequestError,
    UnavailableError,
    Verdict,
)
from tipstaff.observer import Observer

NOWHERE = "127.0.0.1:1"


def warnings(caplog) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "tipstaff"]


def test_failing_open_is_logged_at_once_then_once_a_minute_with_counts(caplog):
    now = 0
    observer = Observer(clock=lambda: now)
    error = UnavailableError("no server ready", code="UNAVAILABLE")
    event = ClientEvent(EventKind.FALLBACK)

    for now in range(1000, 1130):  # noqa: B007  the observer's clock
        observer.fell_back(Verdict.PASS, error, event)
    observer.fell_back(Verdict.BLOCK, error, event)
    observer.close()
    observer.close()

    assert warnings(caplog) == [
        "1 output was not checked; on_failure gave PASS 1; reasons: UNAVAILABLE 1; "
        "last error: no server ready",
        "60 outputs were not checked in the last 60 s; on_failure gave PASS 60; "
        "reasons: UNAVAILABLE 60; last error: no server ready",
        "60 outputs were not checked in the last 60 s; on_failure gave PASS 60; "
        "reasons: UNAVAILABLE 60; last error: no server ready",
        "10 outputs were not checked in the last 9 s; on_failure gave PASS 9, BLOCK 1; "
        "reasons: UNAVAILABLE 10; last error: no server ready",
    ]
    assert {each.levelno for each in caplog.records} == {logging.WARNING}


def test_calls_without_a_server_are_logged_and_counted(connect, caplog):
    client = connect(NOWHERE, on_failure="open")
    for _ in range(50):
        assert client.score(output="A").passed
    assert len(warnings(caplog)) == 1
    client.close()

    first, rest = warnings(caplog)
    assert first.startswith("1 output was not checked; on_failure gave PASS 1; reasons: UNAVAIL")
    assert f"no server ready at {NOWHERE}" in first
    assert re.match(r"49 outputs were not checked in the last \d+ s; on_failure gave PASS 49", rest)
    assert client.failures == {"UNAVAILABLE": 50}


def test_errors_that_are_raised_are_counted_and_not_logged(connect, caplog):
    client = connect(NOWHERE)
    with pytest.raises(UnavailableError):
        client.score(output="A")
    with pytest.raises(UnavailableError):
        client.evaluators()
    client.close()
    assert client.failures == {"UNAVAILABLE": 2}
    assert not warnings(caplog)


def test_items_of_a_batch_are_counted_too(client, caplog):
    outputs = ["fine", "invalid", "too much", "from the future"]
    client.score_batch([Interaction(output=output) for output in outputs], on_failure="open")
    assert client.failures == {"RESOURCE_EXHAUSTED": 1, "UNKNOWN": 1}
    client.close()
    assert sum(int(line.split()[0]) for line in warnings(caplog)) == 2


def test_the_hook_sees_calls_retries_and_fallbacks(connect, server, refuse):
    events: list[ClientEvent] = []
    client = connect(server.target, on_event=events.append)
    refuse("UNAVAILABLE")
    client.score(output="A")
    refuse("INTERNAL")
    client.score_batch([Interaction(output="A"), Interaction(output="B")], on_failure="closed")
    client.evaluators()

    seen = [(each.kind, each.method, each.address, each.code, each.verdict) for each in events]
    address = server.target
    assert seen == [
        (EventKind.RETRY, "Score", address, "UNAVAILABLE", None),
        (EventKind.CALL, "Score", address, "OK", None),
        (EventKind.CALL, "ScoreBatch", address, "INTERNAL", None),
        (EventKind.FALLBACK, "ScoreBatch", address, "INTERNAL", Verdict.BLOCK),
        (EventKind.FALLBACK, "ScoreBatch", address, "INTERNAL", Verdict.BLOCK),
        (EventKind.CALL, "ListEvaluators", address, "OK", None),
    ]
    assert all(0 < each.seconds < 5 for each in events)


def test_the_callers_own_mistakes_are_events_and_no_failures(connect, server, refuse):
    events: list[ClientEvent] = []
    client = connect(server.target, on_event=events.append, on_failure="open")
    refuse("NOT_FOUND")
    with pytest.raises(Exception, match="as the test wants it"):
        client.score(output="A")
    assert [(each.kind, each.code) for each in events] == [(EventKind.CALL, "NOT_FOUND")]
    assert client.failures == {}


def test_no_event_holds_a_text(connect, server):
    events: list[ClientEvent] = []
    client = connect(server.target, on_event=events.append)
    client.score(input="secret", output="secret", ground_truth="secret")
    assert events
    assert "secret" not in repr(events)


def test_a_hook_that_raises_breaks_no_call_and_is_logged_once(connect, server, caplog):
    def hook(event: ClientEvent) -> None:
        raise ZeroDivisionError

    client = connect(server.target, on_event=hook)
    for _ in range(3):
        assert client.score(output="A").passed
    assert [each.getMessage() for each in caplog.records] == [
        "on_event raised an error; further ones are not logged"
    ]


@pytest.mark.parametrize("variable", ["http_proxy", "grpc_proxy", "https_proxy"])
def test_a_proxy_of_the_environment_is_not_asked(connect, server, monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    port = server.target.rpartition(":")[2]
    for target in (server.target, f"localhost:{port}", f"ipv4:{server.target}"):
        score = connect(target, on_failure="open").score(output="A")
        assert score.failure is None, score.failure


def test_a_proxy_is_asked_on_demand(connect, server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        client = connect(
            "tipstaff.example:50051", options={"grpc.enable_http_proxy": 1}, timeout=0.3
        )
        assert client.score(output="A", on_failure="closed").failure
        proxy.settimeout(5)
        connection, _ = proxy.accept()
        with connection:
            assert connection.recv(100).startswith(b"CONNECT tipstaff.example:50051 ")


@pytest.mark.parametrize("form", [dict, list])
def test_options_reach_the_channel(connect, server, form):
    client = connect(server.target, options=form([("grpc.max_receive_message_length", 8)]))
    with pytest.raises(InvalidRequestError, match=r"larger than max \(\d+ vs. 8\)"):
        client.score(output="A")
