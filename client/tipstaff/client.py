"""The client for blocking code."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from tipstaff.base import CLOSED
from tipstaff.calls import Call
from tipstaff.channel import ChannelOptions
from tipstaff.connection import Connection
from tipstaff.course import CallingClient
from tipstaff.errors import ScoringError
from tipstaff.events import OnEvent
from tipstaff.pool import Endpoint
from tipstaff.security import Metadata, Token
from tipstaff.tls import TLS
from tipstaff.types import EvaluatorInfo, Interaction, OnFailure, Score

T = TypeVar("T")


class Client(CallingClient):
    """Scores interactions on a Tipstaff server.

        with Client("localhost:50051", evaluator="support-faithfulness") as client:
            score = client.score(input=question, output=answer, ground_truth=passages)
            if not score.passed: ...

    Make one and keep it. Its connections open with the first calls, are shared by all threads and
    reconnect by themselves; every method may be called from any thread. After a fork, the child
    process needs its own client, unless this one hasn't made a call yet.

    Args:
        target: The server's address: `host:port`, `unix:/path/to.sock`, or `ipv4:` with a list, as
            in `ipv4:10.0.0.7:50051,10.0.0.8:50051`. Calls are spread over all addresses of a name
            or a list, and an address that doesn't answer gets none until it does again.
        evaluator: Name of the evaluator to ask; may be empty when the server has only one.
        timeout: Seconds that a call may take, retries included. The server plans with this
            deadline, so give what the application can spare, not a generous guess.
        on_failure: What a call does if the server can't answer, that is, on any `NoAnswerError`.
            `raise` raises the error. `open` returns a Score with verdict PASS, `closed` one with
            BLOCK; such a Score has `score=None` and the error in `failure`, and is logged. The
            caller's own mistakes (`InvalidRequestError`, `NotFoundError`, `AccessError`) are always
            raised. Note that a text that is too long for the deadline also gets no answer: with
            `open`, anyone who writes very long texts is let through.
        tls: `TLS(ca=…)` with the files of an encrypted connection, or True to trust the authorities
            that gRPC knows. None: no encryption, or `credentials`.
        token: The token that the server knows this application by, or the path of its file, as in
            `Path("/run/secrets/token")`; a changed file is followed. Without TLS it travels in the
            clear.
        metadata: More metadata to send with each call, such as a name for the server's
            `caller_key`, or a function that returns it, as for a trace's context.
        credentials: gRPC's own, as from `grpc.ssl_channel_credentials()`, instead of `tls`.
        keepalive: Seconds between pings while a call waits, at least 10.
        options: Arguments for the gRPC channels, over the client's own. A proxy of the environment
            is used only with `{"grpc.enable_http_proxy": 1}`.
        on_event: Is called with a `ClientEvent` for each call, fallback, retry and change of an
            address, in the thread of the call. What it raises breaks no call.

    A call that is refused as UNAVAILABLE, or finds no server, is tried up to four times; so is one
    that an address leaves without an answer for half of its time, where there is another address.
    Attempts beyond the first are at most 10, and one more for every ten answered calls. Nothing
    else is retried.

    Raises:
        ValueError: `target`, `timeout`, `on_failure`, `keepalive` or `tls` is invalid.
        UsageError: A file of `tls` or `token` can't be used.
    """

    _channels = grpc
    _new_queue = SimpleQueue

    def __init__(
        self,
        target: str,
        *,
        evaluator: str = "",
        timeout: float = 1.0,
        on_failure: OnFailure = "raise",
        tls: TLS | bool | None = None,
        token: Token | None = None,
        metadata: Metadata | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        keepalive: float = 30.0,
        options: ChannelOptions | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        super().__init__(
            target,
            evaluator=evaluator,
            timeout=timeout,
            on_failure=on_failure,
            tls=tls,
            token=token,
            metadata=metadata,
            credentials=credentials,
            keepalive=keepalive,
            options=options,
            on_event=on_event,
        )
        self._pid = 0

    def score(
        self,
        *,
        input: str | None = None,
        output: str | None = None,
        ground_truth: str | None = None,
        evaluator: str | None = None,
        version: int = 0,
        request_id: str = "",
        explain: bool = False,
        attributes: Mapping[str, str] | None = None,
        timeout: float | None = None,
        on_failure: OnFailure | None = None,
    ) -> Score:
        """Scores one interaction; of its three fields at least one must be given.

        Args:
            input: What the application was asked.
            output: What it answered: the text being judged.
            ground_truth: What is known to be true: a reference answer, passages, a policy.
            evaluator: Overrides the client's.
            version: The evaluator's version; 0 for the one that serves.
            request_id: Identifies the request in logs; generated if empty.
            explain: Ask which words of the output lowered the score (`Score.highlights`). Takes up
                to 64 more runs of the evaluator, in the time that is left: allow for it.
            attributes: What the server's traffic can be seen by, such as a model's or a prompt's
                name; at most 16.
            timeout: Overrides the client's, in seconds.
            on_failure: Overrides the client's.

        Raises:
            ScoringError: The request got no score; see `tipstaff.errors` for its kinds, and
                `on_failure` for which are raised.
            TypeError: A field is neither a str nor None.
            RuntimeError: The client is closed, or made calls before the process forked.
        """
        return _completed(
            self._run(
                self._score_call(
                    Interaction(input, output, ground_truth),
                    evaluator=evaluator,
                    version=version,
                    request_id=request_id,
                    explain=explain,
                    attributes=attributes,
                    timeout=timeout,
                    on_failure=on_failure,
                )
            )
        )

    def score_batch(
        self,
        interactions: Iterable[Interaction],
        *,
        evaluator: str | None = None,
        version: int = 0,
        explain: bool = False,
        attributes: Mapping[str, str] | None = None,
        timeout: float | None = None,
        on_failure: OnFailure | None = None,
    ) -> list[Score | ScoringError]:
        """Scores many interactions in one call, under one deadline.

        Args:
            interactions: What to score.
            evaluator: Overrides the client's.
            version: The evaluator's version; 0 for the one that serves.
            explain: Ask which words of the outputs lowered the scores, as for `score`.
            attributes: Those of all interactions, as for `score`.
            timeout: Overrides the client's; seconds for all interactions together.
            on_failure: Overrides the client's.

        Returns:
            For each interaction, in order, what `score` would have returned, or the error that it
            would have raised.

        Raises:
            ScoringError: The call as a whole failed; see `on_failure` for which errors are raised.
            TypeError: A field is neither a str nor None.
            RuntimeError: The client is closed, or made calls before the process forked.
        """
        call = self._batch_call(
            interactions,
            evaluator=evaluator,
            version=version,
            explain=explain,
            attributes=attributes,
            timeout=timeout,
            on_failure=on_failure,
        )
        return call.unsent() if call.message is None else _completed(self._run(call))

    def feedback(
        self,
        request_id: str,
        *,
        good: bool,
        source: str = "",
        note: str = "",
        evaluator: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Tells the server whether a scored output was good, as people or downstream code found.

        The server stores it beside the traffic that it keeps, whether or not the
        interaction was drawn for it. Sending the same again changes nothing; a later verdict of the
        same source on the same request replaces the earlier one.

        Args:
            request_id: That of the score, `Score.request_id`. If several answers had the same, the
                feedback is about the latest.
            good: Whether the output meets the criterion.
            source: Who says so, as in `thumbs` or `support-desk`; at most 64 bytes.
            note: Why, in words, at most 2,000 characters.
            evaluator: Overrides the client's.
            timeout: Overrides the client's, in seconds.

        Returns:
            How many recent answers of the server have that request id: 0 if it knows none, as when
            another server answered, and above 1 if the id is ambiguous.

        Raises:
            ScoringError: The feedback is not stored: `NotFoundError` if the server keeps no
                traffic, else see `tipstaff.errors`.
            TypeError: `good` is not a bool.
            RuntimeError: The client is closed, or made calls before the process forked.
        """
        return _completed(
            self._run(
                self._feedback_call(
                    request_id,
                    good=good,
                    source=source,
                    note=note,
                    evaluator=evaluator,
                    timeout=timeout,
                )
            )
        )

    def evaluators(self, *, timeout: float | None = None) -> list[EvaluatorInfo]:
        """Lists the evaluators that the server offers.

        Args:
            timeout: Overrides the client's, in seconds.

        Raises:
            ScoringError: The server didn't answer.
            RuntimeError: The client is closed, or made calls before the process forked.
        """
        return _completed(self._run(self._evaluators_call(timeout)))

    def close(self) -> None:
        """Closes the connections; calls under way in other threads raise RuntimeError."""
        with self._lock:
            self._closed = True
            if self._pid == os.getpid():
                self._pool.close()
        self._observer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _check_usable(self) -> None:
        if self._closed:
            raise RuntimeError(CLOSED)
        if self._pid != os.getpid():
            if self._pid:
                raise RuntimeError(
                    "this client made calls before the process forked, and gRPC's connections "
                    "don't survive that: make a client in each process"
                )
            self._pid = os.getpid()

    # The steps of a course: none of them waits for an event loop.

    async def _look_up(self, lookup: Future[None], seconds: float) -> None:
        lookup.result(seconds)

    async def _exchange(self, endpoint: Endpoint, call: Call[Any]) -> Any:
        # A blocking call is gRPC's fastest.
        return self._connection(endpoint).method(call.method)(
            call.message,
            timeout=call.remaining(),
            metadata=self._metadata.with_own(call.metadata),
        )

    def _start_rpc(self, rpc: Any, message: Any, timeout: float, metadata: Any = None) -> Any:
        return rpc.future(message, timeout=timeout, metadata=metadata)

    async def _answer(self, running: Any) -> Any:
        return running.result()

    async def _next(self, queue: Any, seconds: float | None) -> Any:
        try:
            return queue.get(timeout=seconds)
        except Empty:
            return None

    def _when_done(self, running: Any, work: Coroutine[Any, Any, None]) -> None:
        running.add_done_callback(lambda _: _completed(work))

    def _close_connection(self, connection: Connection) -> None:
        connection.channel.close()


def _completed(course: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine whose steps block instead of waiting for an event loop."""
    try:
        course.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        course.close()
    raise AssertionError("a step of the blocking client waits for an event loop")
