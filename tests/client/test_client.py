"""What only the blocking client has: threads, processes."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tipstaff import Client


def test_threads_share_a_client(server):
    with Client(server.target) as client, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> str:
            return client.score(output="A", request_id=f"r-{number}", timeout=10).request_id

        answered = list(pool.map(ask, range(200)))

    assert answered == [f"r-{number}" for number in range(200)]
    assert len(server.service.requests) == 200


@pytest.mark.parametrize("addresses", [1, 2])
def test_closing_ends_the_calls_of_other_threads(start_server, addresses):
    servers = [start_server(f"127.0.0.{number}:0") for number in range(1, addresses + 1)]
    for server in servers:
        server.service.delay = 30
    target = "ipv4:" + ",".join(server.target for server in servers)
    client = Client(target, timeout=30, on_failure="open")

    def close() -> None:
        for server in servers:
            server.service.arrived.wait(5)
        client.close()

    closer = threading.Thread(target=close)
    closer.start()
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="has been closed"):
        client.score(output="A")
    closer.join()
    assert time.monotonic() - start < 10


def test_an_idle_client_survives_a_fork_and_a_used_one_says_that_it_does_not(server):
    idle, used = Client(server.target), Client(server.target)
    used.score(output="A")
    read, write = os.pipe()

    child = os.fork()
    if child == 0:
        try:
            used.score(output="A")
            complaint = "none"
        except RuntimeError as error:
            complaint = str(error)
        os.write(write, complaint.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert "make a client in each process" in pipe.read()
    assert used.score(output="A").passed
    assert idle.score(output="A").passed
    used.close()
    idle.close()


def test_a_client_connects_only_when_it_is_used(server):
    before = threading.active_count()
    client = Client(server.target)
    assert repr(client) == f"Client({server.target!r}, evaluator='')"
    assert client.target == server.target
    assert threading.active_count() == before
    client.close()
