"""The client for blocking code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import grpc

from tipstaff.base import CLOSED, BaseClient
from tipstaff.channel import channel_options
from tipstaff.convert import to_evaluator_info, to_score
from tipstaff.errors import ScoringError
from tipstaff.statuses import Status
from tipstaff.types import EvaluatorInfo, Interaction, OnFailure, Score
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1.scoring_pb2_grpc import ScoringServiceStub

Response = TypeVar("Response")


class Client(BaseClient):
    """Scores interactions on a Tipstaff server.

        with Client("localhost:50051", evaluator="support-faithfulness") as client:
            score = client.score(input=question, output=answer, ground_truth=passages)
            if not score.passed: ...

    Make one and keep it. Its connection opens with the first call, is shared by all threads and
    reconnects by itself; every method may be called from any thread. After a fork, the child
    process needs its own client, unless this one hasn't made a call yet.

    Args:
        target: The server's address: `host:port` or `unix:/path/to.sock`.
        evaluator: Name of the evaluator to ask; may be empty when the server has only one.
        timeout: Seconds that a call may take, retries included. The server plans with this
            deadline, so give what the application can spare, not a generous guess.
        on_failure: What a call does if the server can't answer, that is, on any `NoAnswerError`.
            `raise` raises the error. `open` returns a Score with verdict PASS, `closed` one with
            BLOCK; such a Score has `score=None` and the error in `failure`. The caller's own
            mistakes (`InvalidRequestError`, `NotFoundError`, `AccessError`) are always raised.
            Note that a text that is too long for the deadline also gets no answer: with `open`,
            anyone who writes very long texts is let through.
        credentials: For TLS, as from `grpc.ssl_channel_credentials()`. None: no encryption.

    A call that the server refuses as UNAVAILABLE, or that finds no server, is tried four times
    within about 0.2 s; nothing else is retried.

    Raises:
        ValueError: `target`, `timeout` or `on_failure` is invalid.
    """

    def __init__(
        self,
        target: str,
        *,
        evaluator: str = "",
        timeout: float = 1.0,
        on_failure: OnFailure = "raise",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        super().__init__(
            target,
            evaluator=evaluator,
            timeout=timeout,
            on_failure=on_failure,
            credentials=credentials,
        )
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._stub: ScoringServiceStub | None = None
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
        call = self._call(timeout, on_failure)
        request = self._request(
            Interaction(input, output, ground_truth),
            evaluator=evaluator,
            version=version,
            explain=explain,
            request_id=request_id,
        )
        try:
            response = self._ask(lambda stub: stub.Score(request, timeout=call.timeout))
        except grpc.RpcError as failure:
            error = call.error(self._status(failure), request.request_id)
            if not call.falls_back(error):
                raise error from failure
            return call.fallback_score(error, request.request_id)
        return to_score(response)

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
        call = self._call(timeout, on_failure)
        batch = self._batch(interactions, evaluator=evaluator, version=version, explain=explain)
        if not batch.sent:
            return batch.merged([])
        try:
            response = self._ask(
                lambda stub: stub.ScoreBatch(batch.message(), timeout=call.timeout)
            )
        except grpc.RpcError as failure:
            error = call.error(self._status(failure))
            if not call.falls_back(error):
                raise error from failure
            return batch.merged(call.fallback_score(error, each.request_id) for each in batch.sent)
        return batch.merged(call.results(batch.sent, response))

    def evaluators(self, *, timeout: float | None = None) -> list[EvaluatorInfo]:
        """Lists the evaluators that the server offers.

        Args:
            timeout: Overrides the client's, in seconds.

        Raises:
            ScoringError: The server didn't answer.
            RuntimeError: The client is closed, or made calls before the process forked.
        """
        call = self._call(timeout)
        try:
            response = self._ask(
                lambda stub: stub.ListEvaluators(pb.ListEvaluatorsRequest(), timeout=call.timeout)
            )
        except grpc.RpcError as failure:
            raise call.error(self._status(failure)) from failure
        return [to_evaluator_info(each) for each in response.evaluators]

    def close(self) -> None:
        """Closes the connection; calls under way in other threads raise RuntimeError."""
        self._closed = True
        with self._lock:
            if self._channel is not None and self._pid == os.getpid():
                self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, call: Callable[[ScoringServiceStub], Response]) -> Response:
        stub = self._connected()
        try:
            return call(stub)
        except ValueError as error:
            # gRPC raises this if another thread closed the channel meanwhile.
            if self._closed:
                raise RuntimeError(CLOSED) from error
            raise

    def _connected(self) -> ScoringServiceStub:
        stub = self._stub
        if stub is None or self._closed:
            with self._lock:
                if self._closed:
                    raise RuntimeError(CLOSED)
                stub = self._stub = self._stub or self._connect()
        if self._pid != os.getpid():
            raise RuntimeError(
                "this client made calls before the process forked, and gRPC's connections don't "
                "survive that: make a client in each process"
            )
        return stub

    def _connect(self) -> ScoringServiceStub:
        if self._credentials is None:
            self._channel = grpc.insecure_channel(self._target, channel_options())
        else:
            self._channel = grpc.secure_channel(self._target, self._credentials, channel_options())
        self._pid = os.getpid()
        return ScoringServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def _status(self, failure: grpc.RpcError) -> Status:
        if self._closed:
            raise RuntimeError(CLOSED) from failure
        return Status.of_call(failure)
