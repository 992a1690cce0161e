"""Calls over two servers, one of which stops answering: how they are spread, and how many are late.

    python benchmarks/stopped_server.py BUNDLE

Two servers with one worker each serve the bundle. For both clients and each number of concurrent
calls: calls for a few seconds, then SIGSTOP to one server, then calls for some seconds more. A
stopped process keeps its connections and answers nothing, which is the hardest fault to tell from
slowness. A call is late if it has no score by its deadline or fails. Calls that start in the first
two seconds after the stop are counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from local_server import LocalServer, serving

from tipstaff import AsyncClient, Client, ClientEvent, EventKind, Interaction, Score

_BEFORE_SECONDS = 2.0
_SETTLING_SECONDS = 2.0
_AFTER_SECONDS = 6.0
_CONCURRENT = (1, 8, 32)
_INTERACTION = Interaction(
    input="Can I return the kettle?",
    output="Yes, within 14 days.",
    ground_truth="Kitchen appliances can be returned within 14 days of delivery.",
)


@dataclass
class Calls:
    """The calls of one run.

    Attributes:
        timeout: Deadline of each, in seconds.
        outcomes: When each call started, how long it took and whether it has a score.
        shares: Answered calls of each address before the stop.
    """

    timeout: float
    outcomes: list[tuple[float, float, bool]] = field(default_factory=list)
    shares: Counter[str] = field(default_factory=Counter)
    stopped_at: float = float("inf")

    def note(self, started: float, score: Score) -> None:
        self.outcomes.append((started, time.monotonic() - started, score.failure is None))

    def count(self, event: ClientEvent) -> None:
        if event.kind is EventKind.CALL and event.code == "OK" and self.stopped_at == float("inf"):
            self.shares[event.address] += 1

    def late(self, begin: float, end: float) -> tuple[int, int]:
        """Late calls and all calls that started in a time after the stop, in seconds."""
        window = [
            (seconds, answered)
            for started, seconds, answered in self.outcomes
            if begin <= started - self.stopped_at < end
        ]
        late = sum(not answered or seconds > self.timeout for seconds, answered in window)
        return late, len(window)


def run_blocking(target: str, concurrent: int, calls: Calls, is_over: Callable[[], bool]) -> None:
    """Calls from that many threads until it is over."""
    with Client(target, timeout=calls.timeout, on_failure="closed", on_event=calls.count) as client:

        def call() -> None:
            while not is_over():
                started = time.monotonic()
                calls.note(started, _score(client))

        threads = [threading.Thread(target=call) for _ in range(concurrent)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _score(client: Client) -> Score:
    return client.score(
        input=_INTERACTION.input,
        output=_INTERACTION.output,
        ground_truth=_INTERACTION.ground_truth,
    )


def run_async(target: str, concurrent: int, calls: Calls, is_over: Callable[[], bool]) -> None:
    """Calls from that many tasks until it is over."""

    async def main() -> None:
        async with AsyncClient(
            target, timeout=calls.timeout, on_failure="closed", on_event=calls.count
        ) as client:

            async def call() -> None:
                while not is_over():
                    started = time.monotonic()
                    score = await client.score(
                        input=_INTERACTION.input,
                        output=_INTERACTION.output,
                        ground_truth=_INTERACTION.ground_truth,
                    )
                    calls.note(started, score)

            await asyncio.gather(*(call() for _ in range(concurrent)))

    asyncio.run(main())


CLIENTS = {"Client": run_blocking, "AsyncClient": run_async}


def measure(
    kind: str, servers: tuple[LocalServer, LocalServer], concurrent: int, timeout: float
) -> Calls:
    """Calls before and after the first of two servers is stopped, which goes on afterwards."""
    first, second = servers
    calls = Calls(timeout)
    ends_at = time.monotonic() + _BEFORE_SECONDS + _SETTLING_SECONDS + _AFTER_SECONDS

    def stop() -> None:
        first.process.send_signal(signal.SIGSTOP)
        calls.stopped_at = time.monotonic()

    timer = threading.Timer(_BEFORE_SECONDS, stop)
    timer.start()
    try:
        CLIENTS[kind](
            f"ipv4:{first.target},{second.target}",
            concurrent,
            calls,
            lambda: time.monotonic() > ends_at,
        )
    finally:
        timer.join()
        first.process.send_signal(signal.SIGCONT)
    return calls


def main() -> None:
    """Reads the arguments, runs the servers and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--timeout", type=float, default=0.3, help="deadline of a call, in seconds")
    args = parser.parse_args()
    print(
        "| client | concurrent | calls of each server before | late in the first 2 s | late after |"
    )
    print("| --- | --- | --- | --- | --- |")
    with (
        serving(args.bundle, "--workers", 1, address="127.0.0.1:0") as first,
        serving(args.bundle, "--workers", 1, address="127.0.0.2:0") as second,
    ):
        for kind in CLIENTS:
            for concurrent in _CONCURRENT:
                calls = measure(kind, (first, second), concurrent, args.timeout)
                shares = " : ".join(str(calls.shares[each.target]) for each in (first, second))
                settling = calls.late(0, _SETTLING_SECONDS)
                after = calls.late(_SETTLING_SECONDS, float("inf"))
                print(
                    f"| {kind} | {concurrent} | {shares} | {settling[0]} of {settling[1]} | "
                    f"{after[0]} of {after[1]} ({after[0] / max(1, after[1]):.2%}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
