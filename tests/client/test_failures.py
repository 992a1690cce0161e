"""What both clients do when there is no score: errors, fallbacks, retries, deadlines."""

from __future__ import annotations

import threading
import time

import grpc
import pytest

from tipstaff import (
    TLS,
    AccessError,
    DeadlineError,
    Interaction,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    OverloadedError,
    Score,
    ScoringError,
    ServerFaultError,
    UnavailableError,
    Verdict,
)
from tipstaff.cli import flag
from tipstaff.statuses import Status, to_error
from tipstaff_server.access.authority import CertificatesRequest, make_certificates

THE_CALLERS = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "NOT_FOUND": NotFoundError,
    "UNIMPLEMENTED": NotFoundError,
    "UNAUTHENTICATED": AccessError,
    "PERMISSION_DENIED": AccessError,
}
THE_SERVERS = {
    "RESOURCE_EXHAUSTED": OverloadedError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "FAILED_PRECONDITION": DeadlineError,
    "UNAVAILABLE": UnavailableError,
    "INTERNAL": ServerFaultError,
    "UNKNOWN": ServerFaultError,
    "ABORTED": ServerFaultError,
    "CANCELLED": ServerFaultError,
    "DATA_LOSS": ServerFaultError,
    "OUT_OF_RANGE": ServerFaultError,
}
NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize("addresses", [1, 2])
def test_an_error_of_the_app_s_own_metadata_is_no_failed_call(connect, server, addresses):
    """Once, an OSError was taken for a name without an address, and `open` let the output pass."""

    def metadata():
        raise FileNotFoundError("trace.json")

    target = f"ipv4:{server.target}" + ",127.0.0.1:1" * (addresses - 1)
    client = connect(target, metadata=metadata, on_failure="open")
    with pytest.raises(FileNotFoundError, match=r"trace\.json"):
        client.score(output="A")


@pytest.mark.parametrize(("code", "kind"), (THE_CALLERS | THE_SERVERS).items())
def test_every_status_has_its_error(client, refuse, code, kind):
    refuse(code, times=4, details="so it\nis")

    with pytest.raises(ScoringError) as caught:
        client.score(output="A", request_id="r-1")

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.request_id == "r-1"
    assert "so it is" in str(caught.value)


@pytest.mark.parametrize(("mode", "verdict"), [("open", Verdict.PASS), ("closed", Verdict.BLOCK)])
@pytest.mark.parametrize("code", THE_SERVERS)
def test_a_server_without_an_answer_gives_the_chosen_verdict(client, refuse, code, mode, verdict):
    refuse(code, times=4)

    score = client.score(output="A", request_id="r-1", on_failure=mode)

    assert (score.verdict, score.score, score.evaluator) == (verdict, None, "")
    assert isinstance(score.failure, NoAnswerError)
    assert (score.failure.code, score.request_id) == (code, "r-1")


@pytest.mark.parametrize("mode", ["open", "closed"])
@pytest.mark.parametrize("code", THE_CALLERS)
def test_the_callers_mistakes_are_raised_whatever_the_choice(client, refuse, code, mode):
    refuse(code, times=2)
    with pytest.raises(THE_CALLERS[code]):
        client.score(output="A", on_failure=mode)
    with pytest.raises(THE_CALLERS[code]):
        client.score_batch([Interaction(output="A")], on_failure=mode)


def test_the_choice_can_be_the_clients_or_the_calls(connect):
    client = connect(NOWHERE, on_failure="closed")
    assert client.score(output="A").verdict is Verdict.BLOCK
    assert client.score(output="A", on_failure="open").verdict is Verdict.PASS
    with pytest.raises(UnavailableError):
        client.score(output="A", on_failure="raise")


def test_a_batch_that_fails_as_a_whole(connect):
    client = connect(NOWHERE)
    interactions = [Interaction(output="A"), Interaction(), Interaction(output="B")]

    with pytest.raises(UnavailableError):
        client.score_batch(interactions)
    first, invalid, second = client.score_batch(interactions, on_failure="open")

    assert isinstance(invalid, InvalidRequestError)
    for score in (first, second):
        assert isinstance(score, Score)
        assert (score.verdict, score.score) == (Verdict.PASS, None)
        assert isinstance(score.failure, UnavailableError)
    assert first.request_id != second.request_id


def test_listing_evaluators_has_no_fallback(connect):
    with pytest.raises(UnavailableError):
        connect(NOWHERE, on_failure="open").evaluators()


@pytest.mark.parametrize(
    ("pushback", "seconds"), [("250", 0.25), (None, None), ("-1", None), ("soon", None)]
)
def test_an_overloaded_server_says_when_to_try_again(client, refuse, pushback, seconds):
    refuse("RESOURCE_EXHAUSTED", pushback=pushback)
    with pytest.raises(OverloadedError) as caught:
        client.score(output="A")
    assert caught.value.retry_after == seconds


def test_unavailable_is_tried_again(client, service, refuse):
    refuse("UNAVAILABLE", times=2)
    assert client.score(output="A", request_id="r-1").passed
    assert [request.request_id for request in service.requests] == ["r-1"] * 3


def test_large_requests_are_tried_again_too(client, service, refuse):
    refuse("UNAVAILABLE", times=2)
    assert client.score(output="x" * 1_000_000).passed
    assert len(service.requests) == 3


def test_unavailable_is_given_up_after_four_tries(client, service, refuse):
    refuse("UNAVAILABLE", times=9)
    with pytest.raises(UnavailableError):
        client.score(output="A")
    assert len(service.requests) == 4


def test_what_a_stopping_server_cancels_is_tried_again(client, service, refuse):
    refuse("CANCELLED")
    assert client.score(output="A").passed
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "code", sorted((THE_CALLERS | THE_SERVERS).keys() - {"UNAVAILABLE", "CANCELLED"})
)
def test_nothing_else_is_tried_again(client, service, refuse, code):
    refuse(code)
    with pytest.raises(ScoringError):
        client.score(output="A")
    assert len(service.requests) == 1


def test_retries_end_with_the_deadline(client, service, refuse):
    refuse("UNAVAILABLE", times=9, pushback="2000")
    start = time.monotonic()
    with pytest.raises(NoAnswerError):
        client.score(output="A", timeout=0.3)
    assert time.monotonic() - start < 1.5
    assert len(service.requests) == 1


@pytest.mark.parametrize("timeout", [0.1, 0.3])
def test_a_slow_server_is_waited_for_until_the_deadline(client, service, timeout):
    client.score(output="A")
    service.delay = 5

    start = time.monotonic()
    with pytest.raises(DeadlineError, match=f"within {timeout} s") as caught:
        client.score(output="A", timeout=timeout)
    waited = time.monotonic() - start

    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert timeout - 0.01 <= waited < timeout + 0.5
    # The server got the deadline too, so it can schedule with it.
    assert timeout - 0.1 < service.remaining[-1] < timeout + 0.05
    assert service.cancelled.wait(2)


def test_the_clients_timeout_is_that_of_its_calls(connect, server):
    client = connect(server.target, timeout=2.5)
    client.score(output="A")
    client.score_batch([Interaction(output="A")])
    client.evaluators()
    client.evaluators(timeout=7)
    *defaults, own = server.service.remaining
    assert all(2 < remaining < 2.6 for remaining in defaults)
    assert 6.5 < own < 7.1


@pytest.mark.parametrize("target", [NOWHERE, "unix:/nowhere/tipstaff.sock"])
def test_no_server_is_found_out_soon_and_said_plainly(connect, target):
    client = connect(target, timeout=10)
    start = time.monotonic()
    with pytest.raises(UnavailableError, match=target) as caught:
        client.score(output="A")
    assert time.monotonic() - start < 3
    assert "tipstaff serve" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_starts_within_the_retries_is_caught(connect, server):
    server.stop()
    client = connect(server.target)
    starter = threading.Timer(0.03, server.start)
    starter.start()
    try:
        # The second attempt to connect comes after 0.1 s: during the first call, or, on a busy
        # machine, during the second.
        results = [client.score(output="A", on_failure="open") for _ in range(2)]
    finally:
        starter.join()
    assert results[-1].failure is None


def test_a_server_that_restarts_is_found_again(client, server):
    assert client.score(output="A").passed
    server.stop()
    assert client.score(output="A", on_failure="closed").verdict is Verdict.BLOCK
    time.sleep(0.5)
    server.start()

    restarted = time.monotonic()
    while client.score(output="A", on_failure="open").failure:
        assert time.monotonic() - restarted < 4
    assert client.score(output="A").score == 0.875


def test_a_closed_client_says_so(client):
    client.score(output="A")
    client.close()
    client.close()
    for call in (
        lambda: client.score(output="A", on_failure="open"),
        lambda: client.score_batch([Interaction(output="A")]),
        client.evaluators,
    ):
        with pytest.raises(RuntimeError, match="closed: make a new one"):
            call()


def test_a_connection_that_breaks_later_is_no_matter_of_tls():
    status = Status("UNAVAILABLE", "Socket closed")
    error = to_error(status, target="a:1", timeout=1, request_id="")
    assert str(error) == "no server ready at a:1, start one with `tipstaff serve` (Socket closed)"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with an authority, another one, and a certificate of the first."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(CertificatesRequest(out=folder / "other", server=("127.0.0.1",)))
    make_certificates(CertificatesRequest(out=folder, server=("127.0.0.1",)))
    return folder


@pytest.mark.parametrize(
    ("server", "client", "why", "remedy"),
    [
        ("tls", None, "speaks no TLS, and the connection was closed; the server may", "set tls if"),
        ("mutual", None, "the server may speak TLS", "set tls if the server speaks TLS"),
        (
            "plain",
            "ca.pem",
            "speaks TLS, and what listens there doesn't",
            "leave tls out, or start",
        ),
        ("tls", "other/ca.pem", "doesn't accept its certificate", "check what tls trusts"),
        ("tls", "name", "doesn't accept its certificate", "authority of the certificate, and the"),
        (
            "mutual",
            "ca.pem",
            "may want a certificate of the client's",
            "give a certificate and its",
        ),
    ],
)
def test_where_one_side_speaks_tls_alone_it_is_said(
    connect, start_server, certificates, server, client, why, remedy
):
    """Once, each was "no server ready, start one, with TLS if this client has it"."""
    key, chain, authority = (
        (certificates / name).read_bytes() for name in ("127.0.0.1.key", "127.0.0.1.pem", "ca.pem")
    )
    credentials = {
        "plain": None,
        "tls": grpc.ssl_server_credentials([(key, chain)]),
        "mutual": grpc.ssl_server_credentials([(key, chain)], authority, True),
    }[server]
    target = start_server(credentials=credentials).target
    tls = None
    if client is not None:
        name = "elsewhere" if client == "name" else ""
        tls = TLS(certificates / (client if not name else "ca.pem"), server_name=name)
    with pytest.raises(UnavailableError) as caught:
        connect(target, tls=tls).score(output="A")
    message = str(caught.value)
    assert message.startswith(f"no server ready at {target}: this client ")
    assert why in message
    assert remedy in message
    assert "--" not in message
    assert "--tls" in caught.value.describe(flag)
