"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from tipstaff.base import CLOSED, BaseClient
from tipstaff.channel import channel_options
from tipstaff.convert import to_evaluator_info, to_score
from tipstaff.errors import ScoringError
from tipstaff.statuses import Status
from tipstaff.types import EvaluatorInfo, Interaction, OnFailure, Score
from tipstaff.v1 import scoring_pb2 as pb
from tipstaff.v1.scoring_pb2_grpc import ScoringServiceStub


class AsyncClient(BaseClient):
    """Scores interactions on a Tipstaff server: `Client` for asyncio, with the same arguments.

        async with AsyncClient("localhost:50051", evaluator="support-faithfulness") as client:
            score = await client.score(input=question, output=answer, ground_truth=passages)
            if not score.passed: ...

    Make one and keep it. Its connection opens with the first call, serves any number of concurrent
    calls and reconnects by itself. It may be made outside of an event loop, and belongs to the loop
    of its first call. Cancelling a task also cancels its call, here and on the server.

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: grpc.aio.Channel | None = None
        self._stub: ScoringServiceStub | None = None

    async def score(
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
        """Scores one interaction; arguments, result and errors as of `Client.score`."""
        call = self._call(timeout, on_failure)
        request = self._request(
            Interaction(input, output, ground_truth),
            evaluator=evaluator,
            version=version,
            explain=explain,
            request_id=request_id,
        )
        try:
            response = await self._answer(self._connected().Score(request, timeout=call.timeout))
        except grpc.RpcError as failure:
            error = call.error(Status.of_call(failure), request.request_id)
            if not call.falls_back(error):
                raise error from failure
            return call.fallback_score(error, request.request_id)
        return to_score(response)

    async def score_batch(
        self,
        interactions: Iterable[Interaction],
        *,
        evaluator: str | None = None,
        version: int = 0,
        explain: bool = False,
        timeout: float | None = None,
        on_failure: OnFailure | None = None,
    ) -> list[Score | ScoringError]:
        """Scores many interactions in one call; all as for `Client.score_batch`."""
        call = self._call(timeout, on_failure)
        batch = self._batch(interactions, evaluator=evaluator, version=version, explain=explain)
        if not batch.sent:
            return batch.merged([])
        try:
            response = await self._answer(
                self._connected().ScoreBatch(batch.message(), timeout=call.timeout)
            )
        except grpc.RpcError as failure:
            error = call.error(Status.of_call(failure))
            if not call.falls_back(error):
                raise error from failure
            return batch.merged(call.fallback_score(error, each.request_id) for each in batch.sent)
        return batch.merged(call.results(batch.sent, response))

    async def evaluators(self, *, timeout: float | None = None) -> list[EvaluatorInfo]:
        """Lists what the server offers; as `Client.evaluators`."""
        call = self._call(timeout)
        try:
            response = await self._answer(
                self._connected().ListEvaluators(pb.ListEvaluatorsRequest(), timeout=call.timeout)
            )
        except grpc.RpcError as failure:
            raise call.error(Status.of_call(failure)) from failure
        return [to_evaluator_info(each) for each in response.evaluators]

    async def aclose(self) -> None:
        """Closes the connection; calls under way in other tasks raise RuntimeError."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _connected(self) -> ScoringServiceStub:
        if self._closed:
            raise RuntimeError(CLOSED)
        loop = asyncio.get_running_loop()
        if self._stub is None:
            self._stub = self._connect()
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this client belongs to another event loop: make a client in each loop"
            )
        return self._stub

    def _connect(self) -> ScoringServiceStub:
        if self._credentials is None:
            self._channel = grpc.aio.insecure_channel(self._target, channel_options())
        else:
            self._channel = grpc.aio.secure_channel(
                self._target, self._credentials, channel_options()
            )
        return ScoringServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def _answer(self, call: Any) -> Any:
        """Waits for a call; raises RuntimeError if the client was closed meanwhile."""
        try:
            return await call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and not (task and task.cancelling()):
                raise RuntimeError(CLOSED) from None
            raise
