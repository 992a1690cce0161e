"""Callers that do harm, in a process of their own.

They stand for other machines: the process has the lowest priority, so that it takes neither the
servers' nor the ordinary callers' processor time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event

import psutil

from tipstaff import TLS, AsyncClient, Client, Interaction, ScoringError

_FLOODERS = 16
_START_SECONDS = 60.0
_TEXT = Interaction("paris is it", "paris is the capital of france", "france in paris")


@dataclass(frozen=True)
class Victims:
    """The servers, and the caller that harms them.

    Attributes:
        target: The servers, as a target of the client.
        tls: What it takes to reach them.
        token: The token of the caller that does harm.
        evaluator: The evaluator's name.
    """

    target: str
    tls: TLS
    token: str
    evaluator: str

    def client(self, timeout: float = 1.0) -> Client:
        """A client of the harmful caller."""
        return Client(
            self.target,
            evaluator=self.evaluator,
            tls=self.tls,
            token=self.token,
            timeout=timeout,
        )


Harm = Callable[[Victims, float], None]


def do(harm: Harm, victims: Victims, seconds: float, *, freeze: bool = False) -> None:
    """Does harm from another process.

    Args:
        harm: What to do; a function of this module.
        victims: Whom to do it to.
        seconds: How long.
        freeze: Whether the process is stopped half-way and never goes on.
    """
    # gRPC doesn't survive a fork.
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_run, args=(harm, victims, seconds, ready))
    process.start()
    try:
        if not ready.wait(_START_SECONDS):
            raise RuntimeError("the process that does harm doesn't start")
        if freeze:
            time.sleep(seconds / 2)
            psutil.Process(process.pid).suspend()
            time.sleep(seconds / 2)
        else:
            process.join()
    finally:
        process.kill()
        process.join()


def _run(harm: Harm, victims: Victims, seconds: float, ready: Event) -> None:
    os.nice(19)
    ready.set()
    harm(victims, seconds)


def read_slowly(victims: Victims, seconds: float) -> None:
    """Asks for large replies."""
    batch = [Interaction("paris", "paris is it", "paris")] * 100
    _repeat(victims, seconds, lambda client: client.score_batch(batch), threads=2, timeout=5.0)


def cancel(victims: Victims, seconds: float) -> None:
    """Cancels each call after some milliseconds."""
    asyncio.run(_cancel(victims, seconds))


async def _cancel(victims: Victims, seconds: float) -> None:
    async with AsyncClient(
        victims.target, tls=victims.tls, token=victims.token, timeout=1, on_failure="closed"
    ) as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            calls = [asyncio.create_task(client.score(output=_TEXT.output)) for _ in range(4)]
            await asyncio.sleep(random.uniform(0.001, 0.02))
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)


def ask_for_unknown_names(victims: Victims, seconds: float) -> None:
    """Asks evaluators that there aren't."""
    _repeat(
        victims,
        seconds,
        lambda client: client.score(output="a", evaluator=f"x{random.random()}"),
    )


def send_longest_texts(victims: Victims, seconds: float) -> None:
    """Sends texts near the limit."""
    text = "capital of france " * 7000
    _repeat(
        victims,
        seconds,
        lambda client: client.score(output=text, ground_truth="paris"),
        threads=2,
    )


def flood(victims: Victims, seconds: float) -> None:
    """Sends batches from many threads."""
    batch = [_TEXT] * 32
    _repeat(victims, seconds, lambda client: client.score_batch(batch), threads=_FLOODERS)


def ask_much(victims: Victims, seconds: float) -> None:
    """Sends batches of long texts, one after another."""
    batch = [Interaction("paris " * 20_000, None, None)] * 16
    _repeat(victims, seconds, lambda client: client.score_batch(batch), threads=1)


def _repeat(
    victims: Victims,
    seconds: float,
    call: Callable[[Client], object],
    *,
    threads: int = 4,
    timeout: float = 1.0,
) -> None:
    end = time.monotonic() + seconds

    def run() -> None:
        with victims.client(timeout) as client:
            while time.monotonic() < end:
                try:
                    call(client)
                except ScoringError:
                    time.sleep(0.005)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
