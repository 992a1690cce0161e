"""The client for blocking code."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import grpc

from tipstaff.attempts import Attempt, Attempts
from tipstaff.base import CLOSED, BaseClient
from tipstaff.calls import Call, Result
from tipstaff.channel import ChannelOptions
from tipstaff.connection import PROBE_SECONDS, Connection, is_serving
from tipstaff.errors import ScoringError
from tipstaff.events import OnEvent
from tipstaff.pool import Endpoint
from tipstaff.statuses import Status
from tipstaff.types import EvaluatorInfo, Interaction, OnFailure, Score


class Client(BaseClient):
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
        credentials: For TLS, as from `grpc.ssl_channel_credentials()`. None: no encryption.
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
        ValueError: `target`, `timeout`, `on_failure` or `keepalive` is invalid.
    """

    def __init__(
        self,
        target: str,
        *,
        evaluator: str = "",
        timeout: float = 1.0,
        on_failure: OnFailure = "raise",
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
            credentials=credentials,
            keepalive=keepalive,
            options=options,
            on_event=on_event,
        )
        self._lock = threading.Lock()
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
            timeout: Overrides the client's, in seconds.
            on_failure: Overrides the client's.

        Raises:
            ScoringError: The request got no score; see `tipstaff.errors` for its kinds, and
                `on_failure` for which are raised.
            TypeError: A field is neither a str nor None.
            RuntimeError: The client is closed, or made calls before the process forked.
        """
        return self._run(
            self._score_call(
                Interaction(input, output, ground_truth),
                evaluator=evaluator,
                version=version,
                request_id=request_id,
                explain=explain,
                timeout=timeout,
                on_failure=on_failure,
            )
        )

    def score_batch(
        self,
        interactions: Iterable[Interaction],
        *,
        evaluator: str | None = None,
        version: int = 0,
        explain: bool = False,
        timeout: float | None = None,
        on_failure: OnFailure | None = None,
    ) -> list[Score | ScoringError]:
        """Scores many interactions in one call, under one deadline.

        Args:
            interactions: What to score.
            evaluator: Overrides the client's.
            version: The evaluator's version; 0 for the one that serves.
            explain: Ask which words of the outputs lowered the scores, as for `score`.
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
            timeout=timeout,
            on_failure=on_failure,
        )
        return call.unsent() if call.message is None else self._run(call)

    def evaluators(self, *, timeout: float | None = None) -> list[EvaluatorInfo]:
        """Lists the evaluators that the server offers.

        Args:
            timeout: Overrides the client's, in seconds.

        Raises:
            ScoringError: The server didn't answer.
            RuntimeError: The client is closed, or made calls before the process forked.
        """
        return self._run(self._evaluators_call(timeout))

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

    def _run(self, call: Call[Result]) -> Result:
        try:
            response = self._ask(call)
        except (grpc.RpcError, OSError) as failure:
            if self._closed:
                raise RuntimeError(CLOSED) from failure
            return self._failed(call, failure)
        except ValueError as error:
            # gRPC raises this if another thread closed the channel meanwhile.
            if self._closed:
                raise RuntimeError(CLOSED) from error
            raise
        return call.answered(response)

    def _ask(self, call: Call[Any]) -> Any:
        self._check_usable()
        if lookup := self._addresses.refresh():
            lookup.result(call.remaining())
        self._pool.update(self._addresses.current)
        if not self._pool.alone:
            self._probe()
            return self._race(call, self._attempts(call))
        # A blocking call is gRPC's fastest, and with one address there is nothing to race.
        endpoint = self._pool.pick()
        call.address = endpoint.address
        try:
            response = self._method(endpoint, call)(call.message, timeout=call.remaining())
        except grpc.RpcError as failure:
            attempts = self._attempts(call)
            if not attempts.go_on(endpoint, Status.of_call(failure)):
                raise
        else:
            self._budget.deposit()
            return response
        finally:
            self._pool.release(endpoint)
        return self._race(call, attempts)

    def _race(self, call: Call[Any], attempts: Attempts) -> Any:
        """Makes attempts that may overlap, and takes the first answer."""
        results: SimpleQueue[Any] = SimpleQueue()
        running: dict[Any, Attempt] = {}
        try:
            while True:
                if attempt := self._start(attempts, call):
                    method = self._method(attempt.endpoint, call)
                    future = method.future(call.message, timeout=attempts.remaining())
                    running[future] = attempt
                    future.add_done_callback(results.put)
                try:
                    future = results.get(timeout=attempts.wait())
                except Empty:
                    continue
                failure = future.exception()
                status = Status.of_call(failure) if failure else None
                if attempts.finish(running.pop(future), status):
                    return future.result()
        finally:
            for future in running:
                future.cancel()
            attempts.close()

    def _method(self, endpoint: Endpoint, call: Call[Any]) -> Any:
        return getattr(self._connection(endpoint).stub, call.method)

    def _probe(self) -> None:
        """Starts the probes that are due."""
        for endpoint in self._pool.due_probes():
            check = self._connection(endpoint).check_health.future(b"", timeout=PROBE_SECONDS)
            check.add_done_callback(partial(self._probed, endpoint))

    def _probed(self, endpoint: Endpoint, check: Any) -> None:
        response = b"" if check.exception() else check.result()
        self._pool.probed(endpoint, is_serving(check.code(), response))

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

    def _connection(self, endpoint: Endpoint) -> Connection:
        if endpoint.connection is None:
            with self._lock:
                if self._closed:
                    raise RuntimeError(CLOSED)
                if endpoint.connection is None:
                    endpoint.connection = self._connect(endpoint.address)
        return endpoint.connection

    def _connect(self, address: str) -> Connection:
        options = list(self._channel_options.items())
        if self._credentials is None:
            return Connection.over(grpc.insecure_channel(address, options))
        return Connection.over(grpc.secure_channel(address, self._credentials, options))

    def _close_connection(self, connection: Connection) -> None:
        connection.channel.close()
