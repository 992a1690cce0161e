"""One interaction's way from text to the graph's outputs, across the threads that do it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import NamedTuple

from tipstaff_server.batching import Answer, Dispatcher
from tipstaff_server.errors import DeadlineExpired, InferenceFailed, RequestError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.encoding import Encoded


class Answered(NamedTuple):
    """What a job comes to.

    Attributes:
        encoded: What was run.
        encode_seconds: From the request's arrival until its text was encoded.
        answer: What the run said.
    """

    encoded: Encoded
    encode_seconds: float
    answer: Answer


class Job(Future[Answered]):
    """An interaction's way from text to the graph's outputs, without a stop in the event loop.

    Cancelling it leaves the text unencoded, or takes the request out of the queue.

    Args:
        evaluator: What is to run.
        encode: Gives what it is to run, and the seconds of a processor that encoding it took.
        arrival: When the request came in, by `time.monotonic`.
        deadline: When its answer must be there.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        encode: Callable[[], tuple[Encoded, float]],
        arrival: float,
        deadline: float,
    ) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._encode = encode
        self._arrival = arrival
        self._deadline = deadline

    def encode(self, dispatcher: Dispatcher) -> None:
        """Encodes and queues, on an encoder's thread."""
        if self.cancelled():
            return
        try:
            if time.monotonic() >= self._deadline:
                raise DeadlineExpired("the deadline passed before the text was encoded")
            encoded, spent = self._encode()
            seconds = time.monotonic() - self._arrival
            # Without the wait for a thread, which an idle server would have spared it.
            arrived = self._arrival + spent
            queued = dispatcher.submit(self._evaluator, encoded, self._deadline, arrived=arrived)
        except Exception as error:
            self._fail(error)
        except BaseException as error:  # a panic in a Rust extension isn't an Exception
            self._fail(InferenceFailed(f"the text can't be encoded: {error}"))
        else:
            queued.add_done_callback(lambda done: self._finish(encoded, seconds, done))
            # Weakly, since it leads back here: see `Dispatcher.submit`.
            waiting = weakref.ref(queued)
            self.add_done_callback(lambda job: _follow(job, waiting()))

    def _finish(self, encoded: Encoded, seconds: float, queued: Future[Answer]) -> None:
        if queued.cancelled():
            return
        if (error := queued.exception()) is not None:
            self._fail(error)
            return
        with suppress(InvalidStateError):  # cancelled meanwhile
            self.set_result(Answered(encoded, seconds, queued.result()))

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, RequestError):
            # Its message says all; its frames lead back here.
            error = error.with_traceback(None)
        with suppress(InvalidStateError):
            self.set_exception(error)


def _follow(job: Future[Answered], queued: Future[Answer] | None) -> None:
    if queued is not None and job.cancelled():
        queued.cancel()
