from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tipstaff.types import Interaction
from tipstaff_server.batching import Dispatcher
from tipstaff_server.errors import DeadlineExpired, Overloaded, ShuttingDown
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.metrics import Metrics
from tipstaff_server.registry import Registry
from tipstaff_server.scorer import Scorer, Task

TASK = Task(Interaction(output="paris"), evaluator="tiny", version=0, request_id="x")


class Bench:
    """A scorer with one encoder thread that can be held up."""

    def __init__(self, bundle: Path) -> None:
        self.encoders = ThreadPoolExecutor(1)
        self.dispatcher = Dispatcher(lanes=1, max_queue=4, observe=lambda event: None)
        self.encoded = 0
        metrics = Metrics()
        registry = Registry(Evaluator.load, self.dispatcher.forget, metrics)
        registry.load_bundles((bundle,))
        evaluator = registry.find("tiny", 0).evaluator
        encode = evaluator.encode

        def counted(interaction: Interaction):
            self.encoded += 1
            return encode(interaction)

        evaluator.encode = counted  # type: ignore[method-assign]
        self.scorer = Scorer(
            registry,
            self.dispatcher,
            metrics,
            self.encoders,
            default_deadline_seconds=5,
            max_request_bytes=1000,
            max_queue=2,
        )

    async def score(self, seconds: float | None = None):
        return await self.scorer.score(TASK, time.monotonic(), seconds)

    @contextmanager
    def held_up(self) -> Iterator[None]:
        go_on = threading.Event()
        self.encoders.submit(go_on.wait, 20)
        try:
            yield
        finally:
            go_on.set()


@pytest.fixture
def bench(bundle) -> Iterator[Bench]:
    bench = Bench(bundle)
    bench.dispatcher.start()
    yield bench
    bench.dispatcher.stop()
    bench.encoders.shutdown()


async def soon() -> None:
    """Lets all tasks run up to where they wait."""
    await asyncio.sleep(0.02)


def test_what_waits_to_be_encoded_is_bounded(bench):
    async def main() -> None:
        with bench.held_up():
            waiting = [asyncio.create_task(bench.score()) for _ in range(2)]
            await soon()
            with pytest.raises(Overloaded, match="wait to be encoded") as raised:
                await bench.score()
            assert raised.value.reason == "queue_full"
        scores = {(await task).score for task in waiting}
        assert len(scores) == 1
        assert scores == {(await bench.score()).score}

    asyncio.run(main())


def test_a_caller_who_left_is_not_encoded(bench):
    async def main() -> None:
        with bench.held_up():
            leaving = asyncio.create_task(bench.score())
            staying = asyncio.create_task(bench.score())
            await soon()
            leaving.cancel()
            await soon()
        await staying
        assert leaving.cancelled()
        assert bench.encoded == 1
        assert bench.dispatcher.depth == 0

    asyncio.run(main())


def test_a_deadline_that_passes_before_encoding(bench):
    async def main() -> None:
        with bench.held_up():
            late = asyncio.create_task(bench.score(seconds=0.03))
            await asyncio.sleep(0.06)
        with pytest.raises(DeadlineExpired):
            await late
        assert bench.encoded == 0

    asyncio.run(main())


def test_closing_refuses_the_new_and_answers_the_accepted(bench):
    async def main() -> None:
        with bench.held_up():
            accepted = asyncio.create_task(bench.score())
            await soon()
            bench.scorer.close()
            with pytest.raises(ShuttingDown):
                await bench.score()
        assert (await accepted).evaluator == "tiny"

    asyncio.run(main())


def test_time_is_told_in_parts_that_add_up(bench):
    async def main() -> None:
        with bench.held_up():
            waiting = asyncio.create_task(bench.score())
            await asyncio.sleep(0.05)
        timing = (await waiting).timing
        assert timing.encode > 0.05, "the wait for a thread belongs to encoding"
        assert timing.encode + timing.queue + timing.inference <= timing.total

    asyncio.run(main())
