"""A request under way: its text is encoded, and its runs are queued, off the event loop."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from tipstaff.types import Interaction
from tipstaff_server.errors import (
    DeadlineExpired,
    DeadlineUnreachable,
    InferenceFailed,
    Overloaded,
    RequestError,
)
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.layout import Checkpoint, Tokens
from tipstaff_server.scheduling import Dispatcher, RunResult
from tipstaff_server.scoring.reading_speed import ReadingSpeed

# The texts of a call are short up to this size together: reading them takes some 20 ms.
_SHORT_BYTES = 16384
# What tokenizers read fastest, by their kind: one word, blanks, characters that they drop.
_FASTEST_TEXTS = ("a" * 8192, " " * 8192, "\U000e0061" * 2048)
_TRIES = 3


class HasRuns(Protocol):
    """Something encoded that takes at least one run."""

    @property
    def runs(self) -> Sequence[Tokens]:
        """The runs' inputs."""


EncodedT = TypeVar("EncodedT", bound=HasRuns)


@dataclass(frozen=True, slots=True)
class CompletedRequest(Generic[EncodedT]):
    """A request whose runs have all ended.

    Attributes:
        encoded: The runs' inputs.
        encode_seconds: From the request's arrival until its text was encoded.
        results: One for each run, in order.
    """

    encoded: EncodedT
    encode_seconds: float
    results: tuple[RunResult, ...]

    @property
    def logits(self) -> list[float]:
        """The runs' logits, shape (runs,)."""
        return [result.logit for result in self.results]

    @property
    def queue_seconds(self) -> float:
        """From the request's submission to the start of its first run."""
        return min(result.queue_seconds for result in self.results)

    @property
    def worker_seconds(self) -> float:
        """What it cost: the time of workers, shared with the other members of its batches."""
        return sum(result.inference_seconds / result.batch_size for result in self.results)

    @property
    def inference_seconds(self) -> float:
        """From the start of the first run to the end of the last."""
        ends = (result.queue_seconds + result.inference_seconds for result in self.results)
        return max(ends) - self.queue_seconds


class PendingRequest(Future[CompletedRequest[EncodedT]]):
    """A request from its arrival to the results of its runs, without a stop in the event loop.

    If it is cancelled, its text is not encoded, or its runs leave the queue; the latter also
    happens to the other runs when one fails.

    Args:
        evaluator: The evaluator to run.
        encode: Encodes the request's text; calls its argument between steps.
        arrival: When the request came in, by `time.monotonic`.
        deadline: When its results must be there.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        encode: Callable[[Checkpoint], EncodedT],
        arrival: float,
        deadline: float,
    ) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._encode = encode
        self._arrival = arrival
        self._deadline = deadline
        self._results: list[RunResult | None] = []

    def encode_and_queue(self, dispatcher: Dispatcher, on_encoded: Callable[[float], None]) -> None:
        """Encodes the text and queues its runs; blocks, so it belongs on an encoder's thread.

        Args:
            dispatcher: Runs what was encoded.
            on_encoded: Called with the processor seconds that encoding took.
        """
        if self.cancelled():
            return
        try:
            if time.monotonic() >= self._deadline:
                raise DeadlineExpired("the deadline passed before the text was encoded")
            started = time.thread_time()
            try:
                encoded = self._encode(partial(self._check_time, started))
            except DeadlineUnreachable:
                on_encoded(time.thread_time() - started)  # it takes at least that long
                raise
            processor_seconds = time.thread_time() - started
            on_encoded(processor_seconds)
            encode_seconds = time.monotonic() - self._arrival
            # Without the wait for a thread, which an idle server would have spared it.
            arrived = self._arrival + processor_seconds
            futures = dispatcher.submit(
                self._evaluator, encoded.runs, self._deadline, arrived=arrived
            )
        except Exception as error:
            self._fail(error)
        except BaseException as error:  # a panic in a Rust extension isn't an Exception
            self._fail(InferenceFailed(f"the text can't be encoded: {error}"))
        else:
            self._results = [None] * len(futures)
            # Weakly, since their callbacks lead back here: see `Dispatcher.submit`.
            references = [weakref.ref(future) for future in futures]
            for index, future in enumerate(futures):
                future.add_done_callback(partial(self._on_run, encoded, encode_seconds, index))
            self.add_done_callback(lambda _: _cancel(references))

    def _check_time(self, started: float) -> None:
        """Stops an encoding for which the deadline has passed, or whose caller has left.

        Args:
            started: The thread's processor time when the encoding started.
        """
        if self.cancelled():
            raise CancelledError
        if time.monotonic() < self._deadline:
            return
        used = time.thread_time() - started
        if self._arrival + used >= self._deadline:
            raise DeadlineUnreachable(
                f"reading the text takes more than {used * 1e3:.0f} ms, and the deadline left "
                f"{(self._deadline - self._arrival) * 1e3:.1f} ms: allow more time"
            )
        raise DeadlineExpired("the deadline passed while the text was encoded")

    def _on_run(
        self, encoded: EncodedT, encode_seconds: float, index: int, run: Future[RunResult]
    ) -> None:
        """Takes the result of one run; the last one completes the request."""
        if run.cancelled():
            return
        if (error := run.exception()) is not None:
            self._fail(error)
            return
        self._results[index] = run.result()
        results = tuple(result for result in self._results if result is not None)
        if len(results) == len(self._results):
            # Cancelled meanwhile, or two workers came in at once.
            with suppress(InvalidStateError):
                self.set_result(CompletedRequest(encoded, encode_seconds, results))

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, RequestError):
            # Its message says it all, and its frames hold a reference to this future.
            error = error.with_traceback(None)
        with suppress(InvalidStateError):
            self.set_exception(error)


class EncoderPool:
    """Starts requests on the threads that encode them. Belongs to one event loop.

    Long texts have threads of their own, and so has what is in a call beyond its first short texts:
    no short call waits behind one of them.

    Args:
        threads: The threads for short texts.
        dispatcher: Runs what they encode.
        max_waiting: Most short requests that may wait to be encoded; of the long ones, half as many
            may wait beside them.
        long_threads: The threads for long texts; `threads` if None.
    """

    def __init__(
        self,
        threads: Executor,
        dispatcher: Dispatcher,
        *,
        max_waiting: int,
        long_threads: Executor | None = None,
    ) -> None:
        self._threads = threads
        self._long_threads = long_threads or threads
        self._dispatcher = dispatcher
        self._room = threading.Semaphore(max_waiting)
        self._long_room = threading.Semaphore(math.ceil(max_waiting / 2))
        self._speed = ReadingSpeed()

    def start(
        self,
        evaluator: Evaluator,
        encode: Callable[[Checkpoint], EncodedT],
        arrival: float,
        deadline: float,
        *,
        text_bytes: int = 0,
        bytes_before: int = 0,
    ) -> PendingRequest[EncodedT]:
        """Has a request encoded and run; the arguments are `PendingRequest`'s.

        Args:
            evaluator: The evaluator to run.
            encode: Encodes the request's text.
            arrival: When the request came in, by `time.monotonic`.
            deadline: When its results must be there.
            text_bytes: Size of the text.
            bytes_before: Size of the same call's other texts that are read before this one.

        Raises:
            Overloaded: Too many requests wait to be encoded.
        """
        is_long = bytes_before + text_bytes > _SHORT_BYTES
        room = self._long_room if is_long else self._room
        if not room.acquire(blocking=False):
            raise Overloaded(
                "too many requests wait to be encoded", reason="queue_full", retry_after=0.1
            )
        request = PendingRequest(evaluator, encode, arrival, deadline)

        def begin() -> None:
            room.release()
            request.encode_and_queue(self._dispatcher, partial(self._speed.learn, text_bytes))

        threads = self._long_threads if is_long else self._threads
        threads.submit(begin)
        return request

    def learn(self, evaluator: Evaluator) -> None:
        """Measures how fast an evaluator reads at best, in this thread, before it serves."""
        for text in _FASTEST_TEXTS:
            for _ in range(_TRIES):
                started = time.thread_time()
                evaluator.encode(Interaction(**dict.fromkeys(evaluator.manifest.fields, text)))
                size = len(text.encode()) * len(evaluator.manifest.fields)
                self._speed.learn(size, time.thread_time() - started)

    def check_time(self, text_bytes: int, budget: float) -> None:
        """Refuses a text that can't be read in a time, whatever it says.

        Args:
            text_bytes: Size of the text.
            budget: Seconds that are left.

        Raises:
            DeadlineUnreachable: Reading it takes longer.
        """
        needed = self._speed.least_seconds(text_bytes)
        if 0 < budget < needed:
            self._speed.doubt()
            raise DeadlineUnreachable(
                f"reading {text_bytes} bytes of text takes about {needed * 1e3:.0f} ms, and the "
                f"deadline left {budget * 1e3:.1f} ms: allow more time"
            )


def _cancel(references: Sequence[weakref.ref[Future[RunResult]]]) -> None:
    """Takes the runs that have not started out of the queue."""
    for reference in references:
        if (future := reference()) is not None:
            future.cancel()
