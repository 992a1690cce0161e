"""Long texts leave room for short ones, where they wait for encoders and where they wait to run."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from running_server import wait_until
from tiny_bundle import make_bundle

from tipstaff import Interaction
from tipstaff_server.errors import Overloaded
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.manifest import Windows
from tipstaff_server.scheduling import Dispatcher
from tipstaff_server.scoring.pending import EncoderPool, PendingRequest


def test_a_batch_of_long_texts_turns_no_ordinary_call_away(tmp_path):
    bundle = make_bundle(
        tmp_path / "bundle", windows=Windows(output=16, ground_truth=16, max_runs=16)
    )
    evaluator = Evaluator.load(bundle)
    # Not started yet: nothing leaves the queue.
    dispatcher = Dispatcher(workers=1, max_queue=64)
    encoder_free = threading.Event()
    with ThreadPoolExecutor(1) as threads, ThreadPoolExecutor(1) as long_threads:
        long_threads.submit(encoder_free.wait)
        pool = EncoderPool(threads, dispatcher, max_waiting=64, long_threads=long_threads)

        def start(output: str, text_bytes: int, bytes_before: int = 0) -> PendingRequest:
            now = time.monotonic()
            encode = partial(evaluator.encode, Interaction(output=output, ground_truth="paris"))
            return pool.start(
                evaluator,
                encode,
                now,
                now + 600,
                text_bytes=text_bytes,
                bytes_before=bytes_before,
            )

        def start_long(number: int) -> PendingRequest:
            # Short for its size, so that the test needn't wait for it.
            return start(". " * 400, 16_000, 16_000 * number)

        def start_ordinary() -> PendingRequest:
            return start("paris is it", 11)

        # The batch: of 128 texts of 16 runs each, 32 may wait to be encoded.
        batch = [start_long(number) for number in range(1, 33)]
        for number in range(33, 129):
            with pytest.raises(Overloaded, match="too many requests wait to be encoded"):
                start_long(number)
        ordinary = [start_ordinary() for _ in range(8)]
        wait_until(lambda: dispatcher.depth == 8)

        # Of these, as many are queued as begin in the first half of the queue.
        encoder_free.set()
        wait_until(lambda: sum(each.done() for each in batch) == 30, 60)
        assert dispatcher.depth == 8 + 2 * 16
        refusals = {str(each.exception()) for each in batch if each.done()}
        assert all("40 requests are waiting, and 32 may" in each for each in refusals)
        ordinary += [start_ordinary() for _ in range(24)]
        wait_until(lambda: dispatcher.depth == 64)
        with pytest.raises(Overloaded, match="64 requests are waiting, and 64 may"):
            start_ordinary().result(timeout=60)

        dispatcher.start()
        answered = [each for each in (*ordinary, *batch) if each.exception(timeout=60) is None]
        assert answered[: len(ordinary)] == ordinary
        assert len(answered) == len(ordinary) + 2
    dispatcher.stop()
