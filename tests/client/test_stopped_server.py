"""Two real servers, one of which stops answering without closing a connection."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from running_server import Server, Starter
from tiny_bundle import make_bundle

from tipstaff import AsyncClient, Client, Score

# Long enough for a busy machine to answer in.
TIMEOUT = 3.0
SETTLING_SECONDS = 2.0


class Calls:
    """When each call started after the stop, and whether it has a score within its deadline."""

    def __init__(self) -> None:
        self.stopped_at = time.monotonic()
        self.in_time: list[tuple[float, bool]] = []

    def note(self, started: float, score: Score) -> None:
        ended_in_time = time.monotonic() - started <= TIMEOUT
        self.in_time.append((started - self.stopped_at, ended_in_time and score.failure is None))

    @property
    def over(self) -> bool:
        return time.monotonic() > self.stopped_at + SETTLING_SECONDS + 2.0

    @property
    def settled(self) -> list[bool]:
        return [in_time for started, in_time in self.in_time if started >= SETTLING_SECONDS]


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("servers")
    bundle = make_bundle(folder / "tiny")
    start = Starter(folder)
    yield (
        start(bundle, "--workers", 1, address="127.0.0.1:0"),
        start(bundle, "--workers", 1, address="127.0.0.2:0"),
    )
    start.stop()


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def call_from_threads(client: Client, concurrent: int, calls: Calls) -> None:
    def call() -> None:
        while not calls.over:
            calls.note(time.monotonic(), client.score(output="paris", on_failure="closed"))

    threads = [threading.Thread(target=call) for _ in range(concurrent)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_for_both(score: Callable[[], Score], two: tuple[Server, Server]) -> None:
    """Calls until both servers have answered some."""
    before = [answered(server) for server in two]
    end = time.monotonic() + 20
    while not all(answered(server) > count for server, count in zip(two, before, strict=True)):
        assert score().failure is None
        assert time.monotonic() < end, "one of the servers gets no calls"


def answered(server: Server) -> float:
    return server.metric("tipstaff_verdicts_total")


@pytest.mark.parametrize("concurrent", [1, 8, 32])
def test_threads_get_their_answers_from_the_other_server(two, concurrent):
    target = "ipv4:" + ",".join(server.address for server in two)
    with Client(target, timeout=TIMEOUT) as client:

        def score() -> Score:
            return client.score(output="paris", on_failure="closed")

        wait_for_both(score, two)
        with stopped(two[0]):
            calls = Calls()
            call_from_threads(client, concurrent, calls)
        assert len(calls.settled) > 20
        assert calls.settled.count(False) <= 0.01 * len(calls.settled)
        wait_for_both(score, two)


@pytest.mark.parametrize("concurrent", [1, 8, 32])
def test_tasks_get_their_answers_from_the_other_server(two, concurrent):
    target = "ipv4:" + ",".join(server.address for server in two)
    calls = Calls()

    async def main() -> None:
        async with AsyncClient(target, timeout=TIMEOUT) as client:

            async def call() -> None:
                while not calls.over:
                    started = time.monotonic()
                    calls.note(started, await client.score(output="paris", on_failure="closed"))

            for _ in range(40):
                assert (await client.score(output="paris")).failure is None
            with stopped(two[0]):
                calls.stopped_at = time.monotonic()
                await asyncio.gather(*(call() for _ in range(concurrent)))

    asyncio.run(main())
    assert len(calls.settled) > 20
    assert calls.settled.count(False) <= 0.01 * len(calls.settled)
