"""Both clients over several addresses, against real servers on loopback addresses."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import time
from collections import Counter

import grpc
import pytest
from tools import require

from tipstaff import (
    ClientEvent,
    DeadlineError,
    EventKind,
    Interaction,
    NoAnswerError,
    OverloadedError,
    UnavailableError,
)

from .conftest import Refusal

NAME = "tipstaff.example"


@pytest.fixture
def two(start_server):
    return start_server("127.0.0.1:0"), start_server("127.0.0.2:0")


def listed(servers) -> str:
    return "ipv4:" + ",".join(server.target for server in servers)


def counts(servers) -> list[int]:
    return [len(server.service.requests) for server in servers]


class Names:
    """Lets `tipstaff.example` have addresses of the test's choice."""

    def __init__(self, monkeypatch) -> None:
        self.addresses: list[str] = []
        system = socket.getaddrinfo

        def getaddrinfo(host, port, *args, **kwargs):
            if host != NAME:
                return system(host, port, *args, **kwargs)
            if not self.addresses:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in self.addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def names(monkeypatch) -> Names:
    return Names(monkeypatch)


class NameServer:
    """A DNS server that knows 127.0.0.1 and 127.0.0.2 by every name."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(512)
            end = query.index(0, 12) + 5
            is_ipv4 = query[end - 4 : end - 2] == b"\0\1"
            records = [
                b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address)
                for address in ("127.0.0.1", "127.0.0.2")
                if is_ipv4
            ]
            head = query[:2] + b"\x81\x80\0\1" + struct.pack(">HHH", len(records), 0, 0)
            self._socket.sendto(head + query[12:end] + b"".join(records), sender)


@pytest.fixture
def events() -> list[ClientEvent]:
    return []


def test_calls_of_every_kind_are_spread(connect, two):
    client = connect(listed(two))
    for _ in range(20):
        client.score(output="A")
        client.score_batch([Interaction(output="A")])
        client.evaluators()
    assert counts(two) == [30, 30]


def test_a_name_spreads_over_its_addresses(connect, start_server, names):
    first = start_server("127.0.0.1:0")
    port = first.target.rpartition(":")[2]
    second = start_server(f"127.0.0.2:{port}")
    names.addresses = ["127.0.0.1", "127.0.0.2"]
    for target in (f"dns:///{NAME}:{port}", f"{NAME}:{port}"):
        client = connect(target)
        for _ in range(30):
            client.score(output="A")
    assert counts([first, second]) == [30, 30]


def test_a_name_with_a_dns_server_of_its_own_is_spread_by_grpc(connect, start_server):
    first = start_server("127.0.0.1:0")
    port = first.target.rpartition(":")[2]
    second = start_server(f"127.0.0.2:{port}")
    client = connect(f"dns://{NameServer().address}/{NAME}:{port}")
    for _ in range(20):
        client.score(output="A")
    assert counts([first, second]) == [pytest.approx(10, abs=2)] * 2


def test_a_server_that_moves_is_found_at_its_new_address(connect, start_server, names):
    old = start_server("127.0.0.1:0")
    port = old.target.rpartition(":")[2]
    names.addresses = ["127.0.0.1"]
    client = connect(f"{NAME}:{port}")
    assert client.score(output="A").passed

    time.sleep(1.1)
    old.stop()
    new = start_server(f"127.0.0.2:{port}")
    names.addresses = ["127.0.0.2"]

    # The first call fails at the old address, and has the name looked up while it tries again.
    client.score(output="A", on_failure="open")
    assert client.score(output="A").passed
    assert new.service.requests


def test_of_two_servers_one_moves_without_a_failed_call(connect, start_server, names):
    stays = start_server("127.0.0.1:0")
    port = stays.target.rpartition(":")[2]
    moves = start_server(f"127.0.0.2:{port}")
    names.addresses = ["127.0.0.1", "127.0.0.2"]
    client = connect(f"dns:///{NAME}:{port}")
    for _ in range(4):
        client.score(output="A")

    time.sleep(1.1)
    moves.stop()
    moved = start_server(f"127.0.0.3:{port}")
    names.addresses = ["127.0.0.1", "127.0.0.3"]
    end = time.monotonic() + 5
    while not moved.service.requests:
        assert client.score(output="A").passed
        assert time.monotonic() < end
    before = counts([stays, moved])
    for _ in range(20):
        client.score(output="A")
    assert [after - then for after, then in zip(counts([stays, moved]), before, strict=True)] == [
        10,
        10,
    ]


def test_a_name_without_an_address_is_unavailable(connect, names):
    client = connect(f"dns:///{NAME}:50051")
    with pytest.raises(
        UnavailableError, match=f"{NAME}.*has no address: Name or service not known"
    ):
        client.score(output="A")
    assert client.score(output="A", on_failure="open").failure.code == "UNAVAILABLE"


def test_a_look_up_that_takes_too_long_ends_with_the_deadline(connect, start_server, monkeypatch):
    server = start_server()
    port = server.target.rpartition(":")[2]
    answers = threading.Event()

    def getaddrinfo(host, port, **_):
        answers.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    client = connect(f"{NAME}:{port}")
    begin = time.monotonic()
    with pytest.raises(DeadlineError, match="looking up the name"):
        client.score(output="A", timeout=0.2)
    assert time.monotonic() - begin < 2
    answers.set()
    assert client.score(output="A").passed


def test_an_address_without_a_server_costs_no_answer(connect, start_server, events):
    server = start_server("127.0.0.2:0")
    gone = start_server("127.0.0.1:0")
    gone.stop()
    client = connect(f"ipv4:{gone.target},{server.target}", on_event=events.append)
    for _ in range(40):
        assert client.score(output="A").passed
    kinds = Counter(event.kind for event in events)
    assert kinds[EventKind.CALL] == 40
    assert kinds[EventKind.RETRY] <= 3
    assert [event.address for event in events if event.kind is EventKind.EJECTED] == [gone.target]

    gone.start()
    end = time.monotonic() + 20
    while not gone.service.requests:
        assert client.score(output="A").passed
        assert time.monotonic() < end
    assert [event.address for event in events if event.kind is EventKind.RESTORED] == [gone.target]


def test_a_server_that_does_not_answer_is_survived_and_ejected(connect, two, events):
    stuck, well = two
    client = connect(listed(two), timeout=1, on_event=events.append)
    for _ in range(4):
        client.score(output="A")
    stuck.service.delay = 30

    begin = time.monotonic()
    for _ in range(20):
        assert client.score(output="A").passed
    assert time.monotonic() - begin < 5
    # Once in rotation, and once on trial, as the server still answers probes.
    assert 1 <= len(stuck.service.requests) - 2 <= 3
    assert Counter(event.kind for event in events)[EventKind.RETRY] <= 3
    assert stuck.service.cancelled.wait(5), "the attempt that lost was not cancelled"
    assert len(well.service.requests) >= 20


def test_a_slow_answer_still_counts(connect, two):
    """An attempt goes on beside the second one: a text that takes long is no failure."""
    for server in two:
        server.service.delay = 0.7
    client = connect(listed(two), timeout=1)
    begin = time.monotonic()
    assert client.score(output="A").passed
    assert time.monotonic() - begin < 0.95


def test_servers_plan_with_the_whole_deadline(connect, two):
    client = connect(listed(two), timeout=2)
    client.score(output="A")
    client.score(output="A")
    for server in two:
        assert 1.8 < server.service.remaining[0] < 2.05


def test_servers_that_are_never_ready_see_no_more_than_the_budget(connect, two):
    for server in two:
        server.service.script = [Refusal(grpc.StatusCode.UNAVAILABLE)] * 1000
    client = connect(listed(two), on_failure="closed")
    for _ in range(100):
        assert isinstance(client.score(output="A").failure, UnavailableError)
    assert sum(counts(two)) <= 110


@pytest.mark.parametrize("pushback", [None, "20"])
def test_an_overloaded_server_is_not_asked_again(connect, two, pushback):
    for server in two:
        server.service.script = [
            Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, pushback=pushback) for _ in range(9)
        ]
    client = connect(listed(two))
    for _ in range(10):
        with pytest.raises(OverloadedError) as caught:
            client.score(output="A")
        assert caught.value.retry_after == (0.02 if pushback else None)
    assert counts(two) == [5, 5]


def test_the_deadline_ends_a_call_whatever_its_attempts(connect, two):
    for server in two:
        server.service.delay = 30
    client = connect(listed(two), timeout=0.4)
    begin = time.monotonic()
    with pytest.raises(NoAnswerError) as caught:
        client.score(output="A")
    assert 0.39 < time.monotonic() - begin < 2
    assert caught.value.code == "DEADLINE_EXCEEDED"
    for server in two:
        assert server.service.cancelled.wait(5)


def test_servers_are_known_by_their_name(connect, start_server, names, tmp_path):
    """TLS checks the name that the user gave, not the address it stands for."""
    subprocess.run(
        [
            *(require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", tmp_path / "key", "-out", tmp_path / "certificate"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"),
        ],
        check=True,
        capture_output=True,
    )
    key, certificate = ((tmp_path / name).read_bytes() for name in ("key", "certificate"))
    server = start_server(credentials=grpc.ssl_server_credentials([(key, certificate)]))
    port = server.target.rpartition(":")[2]
    names.addresses = ["127.0.0.1"]
    credentials = grpc.ssl_channel_credentials(certificate)
    assert connect(f"{NAME}:{port}", credentials=credentials).score(output="A").passed
    with pytest.raises(UnavailableError):
        connect(server.target, credentials=credentials).score(output="A")
