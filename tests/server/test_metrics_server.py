"""The metrics port: scrapes get through, whatever else connects."""

from __future__ import annotations

import gc
import gzip
import http.client
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from tipstaff_server import metrics_server
from tipstaff_server.errors import ListenError
from tipstaff_server.metrics_server import MetricsServer


@pytest.fixture
def port(monkeypatch):
    """A port that serves much text, and gives each client one second."""
    monkeypatch.setattr(metrics_server, "_SECONDS", 1.0)
    registry = CollectorRegistry()
    gauge = Gauge("many", "Much text.", ("name",), registry=registry)
    for number in range(200):
        gauge.labels("x" * 100_000 + str(number)).set(1)
    running = MetricsServer(registry, "127.0.0.1:0")
    yield urlsplit(running.url).port
    running.stop()


def connect(port: int, *, receive_bytes: int = 4096) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    return client


def received(client: socket.socket) -> bytes:
    """What comes until the server closes a connection."""
    parts = []
    with suppress(ConnectionResetError):
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def ends(client: socket.socket) -> float:
    """Seconds until the server closes a connection."""
    started = time.monotonic()
    received(client)
    return time.monotonic() - started


def test_300_half_sent_requests_take_no_threads_and_delay_no_scrape(start, bundle):
    server = start(bundle)
    process = psutil.Process(server.process.pid)
    threads, files = process.num_threads(), process.num_fds()
    port = urlsplit(server.metrics_url).port
    clients = [connect(port) for _ in range(300)]
    for client in clients:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a")
    started = time.monotonic()
    for _ in range(10):
        assert "tipstaff_queue_depth" in server.scrape()
    assert time.monotonic() - started < 5
    assert process.num_threads() <= threads + 1
    assert process.num_fds() < files + 40
    assert max(ends(client) for client in clients) < 10
    assert process.num_fds() <= files + 2
    assert "Traceback" not in server.log


def test_who_sends_too_slowly_or_too_much_is_dropped(port):
    with connect(port) as silent, connect(port) as drop_by_drop, connect(port) as large:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.1):
                try:
                    drop_by_drop.sendall(b"x")
                except OSError:
                    return

        threading.Thread(target=drip).start()
        large.sendall(b"GET / HTTP/1.1\r\n" + b"x" * 40_000)
        assert ends(large) < 0.9
        assert ends(silent) < 5
        assert ends(drop_by_drop) < 5
        stop.set()


def test_who_reads_too_slowly_is_dropped(port):
    # A smaller window would take minutes to empty what the kernel holds.
    with connect(port, receive_bytes=1 << 18) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        time.sleep(3)
        # What the kernel had taken by then.
        assert len(received(client)) < 10_000_000


def test_replies_are_those_of_http(server):
    url = urlsplit(server.metrics_url)

    def ask(method: str, path: str = "/metrics", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        connection.request(method, path, headers=headers)
        return connection.getresponse()

    plain = ask("GET")
    assert plain.status == 200
    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    text = plain.read()
    assert len(text) == int(plain.headers["Content-Length"])
    assert list(text_string_to_metric_families(text.decode()))
    packed = ask("GET", **{"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.read()).startswith(b"# HELP")
    openmetrics = ask("GET", Accept="application/openmetrics-text; version=1.0.0")
    assert openmetrics.read().endswith(b"# EOF\n")
    one = ask("GET", "/metrics?name[]=tipstaff_lanes").read().decode()
    assert "tipstaff_lanes" in one
    assert "queue_depth" not in one
    assert ask("POST").status == 405
    assert ask("HEAD").read() == b""


@pytest.mark.parametrize(
    "raw",
    [b"\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n:\r\na\r\n\r\n"],
)
def test_nonsense_ends_its_own_connection_only(server, raw):
    url = urlsplit(server.metrics_url)
    with connect(url.port) as client:
        client.sendall(raw)
        assert ends(client) < 5
    assert server.metric("tipstaff_lanes") >= 1
    assert "Traceback" not in server.log


def test_all_addresses_are_those_of_both_kinds():
    registry = CollectorRegistry()
    running = MetricsServer(registry, "[::]:0")
    port = urlsplit(running.url).port
    for host in ("127.0.0.1", "[::1]"):
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5) as response:
            assert response.status == 200
    running.stop()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("203.0.113.1:0", "not an address of this machine"),
        ("nowhere.invalid:0", "knows no host 'nowhere.invalid'"),
        ("x" * 70 + ":0", "knows no host"),
    ],
)
def test_addresses_that_do_not_do(address, why):
    with pytest.raises(ListenError, match=why) as refused:
        MetricsServer(CollectorRegistry(), address)
    assert str(refused.value).startswith(f"metrics_listen {address}")


@pytest.mark.parametrize("version", ["abc", "=1.0.0", "1.x.0"])
def test_a_scrape_that_prometheus_cannot_read_gets_an_error_and_leaves_none_in_the_log(
    port, caplog, version
):
    accept = f"application/openmetrics-text; version={version}"
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/metrics", headers={"Accept": accept})
    response = client.getresponse()
    assert response.status == 500
    assert b"TypeError" in response.read()
    gc.collect()  # asyncio logs an error that nobody took once its task is collected
    assert not caplog.records
