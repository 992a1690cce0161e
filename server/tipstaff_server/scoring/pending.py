"""The way from text to the graph's outputs, across the threads that do it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from tipstaff_server.errors import DeadlineExpired, InferenceFailed, RequestError
from tipstaff_server.evaluator import Evaluator
from tipstaff_server.evaluator.encoding import Tokens
from tipstaff_server.scheduling import Answer, Dispatcher


class Encoded(Protocol):
    """What takes some runs, at least one."""

    @property
    def runs(self) -> Sequence[Tokens]:
        """The runs."""


Work = TypeVar("Work", bound=Encoded)


@dataclass(frozen=True, slots=True)
class Answered(Generic[Work]):
    """What a job comes to.

    Attributes:
        encoded: What was run.
        encode_seconds: From the request's arrival until its text was encoded.
        answers: What its runs said, in their order.
    """

    encoded: Work
    encode_seconds: float
    answers: tuple[Answer, ...]

    @property
    def queue_seconds(self) -> float:
        """From its submission to the start of its first run."""
        return min(answer.queue_seconds for answer in self.answers)

    @property
    def inference_seconds(self) -> float:
        """From the start of its first run to the end of its last."""
        ends = (answer.queue_seconds + answer.inference_seconds for answer in self.answers)
        return max(ends) - self.queue_seconds


class Job(Future[Answered[Work]]):
    """A way from text to the graph's outputs, without a stop in the event loop.

    Cancelling it leaves the text unencoded, or takes its runs out of the queue; so does the failure
    of one of them.

    Args:
        evaluator: What is to run.
        encode: Gives what it is to run, and the seconds of a processor that encoding it took.
        arrival: When the request came in, by `time.monotonic`.
        deadline: When its answer must be there.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        encode: Callable[[], tuple[Work, float]],
        arrival: float,
        deadline: float,
    ) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._encode = encode
        self._arrival = arrival
        self._deadline = deadline
        self._answers: list[Answer | None] = []

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
            queued = dispatcher.submit_all(
                self._evaluator, encoded.runs, self._deadline, arrived=arrived
            )
        except Exception as error:
            self._fail(error)
        except BaseException as error:  # a panic in a Rust extension isn't an Exception
            self._fail(InferenceFailed(f"the text can't be encoded: {error}"))
        else:
            self._answers = [None] * len(queued)
            # Weakly, since they lead back here: see `Dispatcher.submit_all`.
            waiting = [weakref.ref(run) for run in queued]
            for place, run in enumerate(queued):
                run.add_done_callback(partial(self._note, encoded, seconds, place))
            self.add_done_callback(lambda _: _cancel(waiting))

    def _note(self, encoded: Work, seconds: float, place: int, run: Future[Answer]) -> None:
        """Takes the end of one run; with the last, the job ends."""
        if run.cancelled():
            return
        if (error := run.exception()) is not None:
            self._fail(error)
            return
        self._answers[place] = run.result()
        answers = tuple(answer for answer in self._answers if answer is not None)
        if len(answers) == len(self._answers):
            with suppress(InvalidStateError):  # cancelled meanwhile, or two lanes came in at once
                self.set_result(Answered(encoded, seconds, answers))

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, RequestError):
            # Its message says all; its frames lead back here.
            error = error.with_traceback(None)
        with suppress(InvalidStateError):
            self.set_exception(error)


def _cancel(waiting: Sequence[weakref.ref[Future[Answer]]]) -> None:
    """Takes what hasn't run yet out of the queue."""
    for reference in waiting:
        if (run := reference()) is not None:
            run.cancel()
