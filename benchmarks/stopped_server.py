"""Calls over two servers, one of which stops answering: how they are spread, and how many are late.

    python benchmarks/stopped_server.py

Two servers with one worker each. For both clients and each number of concurrent calls: calls for
two seconds, then SIGSTOP to the first server, then calls for eight seconds more. A stopped process
keeps its connections and answers nothing. A call is late if it has no score by its deadline. Calls
that start in the first two seconds after the stop are counted apart.

The evaluator is a tiny one with random weights, unless a bundle is given: the client is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from local_server import LocalServer, serving

from tipstaff import AsyncClient, Client, ClientEvent, EventKind, Score

_BEFORE_SECONDS = 2.0
_SETTLING_SECONDS = 2.0
_AFTER_SECONDS = 6.0
_CONCURRENT = (1, 8, 32)
_TEXTS = {
    "input": "Can I return the kettle?",
    "output": "Yes, within 14 days.",
    "ground_truth": "Kitchen appliances can be returned within 14 days of delivery.",
}


@dataclass
class Calls:
    """The calls of one run.

    Attributes:
        timeout: Deadline of each, in seconds.
        ends_at: When to make no more.
        outcomes: When each call started, how long it took and whether it has a score.
        shares: Answered calls of each address before the stop.
        stopped_at: When the first server was stopped.
    """

    timeout: float
    ends_at: float
    outcomes: list[tuple[float, float, bool]] = field(default_factory=list)
    shares: Counter[str] = field(default_factory=Counter)
    stopped_at: float = float("inf")

    @property
    def over(self) -> bool:
        """Whether to make no more calls."""
        return time.monotonic() > self.ends_at

    def note(self, started: float, score: Score) -> None:
        """Adds a call that has ended."""
        self.outcomes.append((started, time.monotonic() - started, score.failure is None))

    def on_event(self, event: ClientEvent) -> None:
        """The client's hook."""
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


def run_blocking(target: str, concurrent: int, calls: Calls) -> None:
    """Calls from that many threads."""
    with Client(
        target, timeout=calls.timeout, on_failure="closed", on_event=calls.on_event
    ) as client:

        def call() -> None:
            while not calls.over:
                calls.note(time.monotonic(), client.score(**_TEXTS))

        threads = [threading.Thread(target=call) for _ in range(concurrent)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


async def run_asyncio(target: str, concurrent: int, calls: Calls) -> None:
    """Calls from that many tasks."""
    async with AsyncClient(
        target, timeout=calls.timeout, on_failure="closed", on_event=calls.on_event
    ) as client:

        async def call() -> None:
            while not calls.over:
                calls.note(time.monotonic(), await client.score(**_TEXTS))

        await asyncio.gather(*(call() for _ in range(concurrent)))


def measure(kind: str, servers: list[LocalServer], concurrent: int, timeout: float) -> Calls:
    """Calls before and after the first server is stopped, which goes on afterwards."""
    target = "ipv4:" + ",".join(server.target for server in servers)
    seconds = _BEFORE_SECONDS + _SETTLING_SECONDS + _AFTER_SECONDS
    calls = Calls(timeout, time.monotonic() + seconds)

    def stop() -> None:
        servers[0].process.send_signal(signal.SIGSTOP)
        calls.stopped_at = time.monotonic()

    timer = threading.Timer(_BEFORE_SECONDS, stop)
    timer.start()
    try:
        if kind == "Client":
            run_blocking(target, concurrent, calls)
        else:
            asyncio.run(run_asyncio(target, concurrent, calls))
    finally:
        timer.join()
        servers[0].process.send_signal(signal.SIGCONT)
    return calls


def _tiny_bundle(path: Path) -> Path:
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from tiny_bundle import make_bundle

    return make_bundle(path)


def main() -> None:
    """Reads the arguments, runs the servers and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--timeout", type=float, default=0.3, help="deadline of a call, in seconds")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bundle = args.bundle or _tiny_bundle(Path(folder) / "tiny")
        servers = [
            stack.enter_context(serving(bundle, "--workers", 1, address=address))
            for address in ("127.0.0.1:0", "127.0.0.2:0")
        ]
        print("| client | concurrent | answered by each before | late in 2 s | late after |")
        print("| --- | --- | --- | --- | --- |")
        for kind in ("Client", "AsyncClient"):
            for concurrent in _CONCURRENT:
                calls = measure(kind, servers, concurrent, args.timeout)
                shares = ", ".join(str(calls.shares[server.target]) for server in servers)
                first, first_all = calls.late(0, _SETTLING_SECONDS)
                late, late_all = calls.late(_SETTLING_SECONDS, float("inf"))
                print(
                    f"| {kind} | {concurrent} | {shares} | {first} of {first_all} "
                    f"| {late} of {late_all} ({late / max(1, late_all):.2%}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
