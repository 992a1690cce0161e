"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from tipstaff.base import CLOSED
from tipstaff.calls import Call, ForwardedCall, MetadataPairs
from tipstaff.channel import ChannelOptions
from tipstaff.connection import HEALTH, PROBE_SECONDS, Connection, is_serving
from tipstaff.course import CallingClient
from tipstaff.errors import ScoringError, UnavailableError
from tipstaff.events import OnEvent
from tipstaff.pool import Endpoint
from tipstaff.security import Metadata, Token
from tipstaff.tls import TLS
from tipstaff.types import EvaluatorInfo, Interaction, OnFailure, Score


class AsyncClient(CallingClient):
    """Scores interactions on a Tipstaff server: `Client` for asyncio, with the same arguments.

        async with AsyncClient("localhost:50051", evaluator="support-faithfulness") as client:
            score = await client.score(input=question, output=answer, ground_truth=passages)
            if not score.passed: ...

    Make one and keep it. Its connections open with the first calls, serve any number of concurrent
    calls and reconnect by themselves. It may be made outside of an event loop, and belongs to the
    loop of its first call. Cancelling a task also cancels its call, here and on the server.

    Raises:
        ValueError: `target`, `timeout`, `on_failure`, `keepalive` or `tls` is invalid.
        UsageError: A file of `tls` or `token` can't be used.
    """

    _channels = grpc.aio
    _new_queue = asyncio.Queue

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._background: set[asyncio.Task[None]] = set()

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
        attributes: Mapping[str, str] | None = None,
        timeout: float | None = None,
        on_failure: OnFailure | None = None,
    ) -> Score:
        """Scores one interaction; arguments, result and errors as of `Client.score`."""
        return await self._run(
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

    async def score_batch(
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
        """Scores many interactions in one call; all as for `Client.score_batch`."""
        call = self._batch_call(
            interactions,
            evaluator=evaluator,
            version=version,
            explain=explain,
            attributes=attributes,
            timeout=timeout,
            on_failure=on_failure,
        )
        return call.unsent() if call.message is None else await self._run(call)

    async def feedback(
        self,
        request_id: str,
        *,
        good: bool,
        source: str = "",
        note: str = "",
        evaluator: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Tells the server whether a scored output was good; all as for `Client.feedback`."""
        return await self._run(
            self._feedback_call(
                request_id,
                good=good,
                source=source,
                note=note,
                evaluator=evaluator,
                timeout=timeout,
            )
        )

    async def evaluators(self, *, timeout: float | None = None) -> list[EvaluatorInfo]:
        """Lists what the server offers; as `Client.evaluators`."""
        return await self._run(self._evaluators_call(timeout))

    async def forward(
        self,
        method: str,
        message: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataPairs = (),
    ) -> Any:
        """Sends a message of `tipstaff.v1` as it is and returns the reply as it is; for gateways.

        Args:
            method: Name of the RPC, as in `Score`.
            message: Its request.
            timeout: Overrides the client's, in seconds.
            metadata: Names in small letters and their values, as the caller's token.

        Raises:
            ScoringError: There is no reply; `on_failure` doesn't apply.
        """
        options = self._options(timeout, "raise")
        return await self._run(ForwardedCall(options, method, message, metadata))

    async def is_serving(self, *, timeout: float = PROBE_SECONDS) -> bool:
        """Whether a server of the target says that it may get calls, by gRPC's own health check.

        Args:
            timeout: In seconds.
        """
        return not await self.why_not_serving(timeout=timeout)

    async def why_not_serving(self, *, timeout: float = PROBE_SECONDS) -> ScoringError | None:
        """Why no server of the target may get calls; names the target.

        Args:
            timeout: In seconds.

        Returns:
            None where `is_serving` is true.
        """
        try:
            reply = await self.forward(HEALTH, b"", timeout=timeout)
        except ScoringError as error:
            return None if is_serving(grpc.StatusCode[error.code]) else error
        if is_serving(grpc.StatusCode.OK, reply):
            return None
        why = "says NOT_SERVING: it is loading or stopping, or nothing is promoted"
        return UnavailableError(f"{self.target} {why}", code="UNAVAILABLE")

    async def aclose(self) -> None:
        """Closes the connections; calls under way in other tasks raise RuntimeError."""
        self._closed = True
        self._pool.close()
        if self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        self._observer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _check_usable(self) -> None:
        if self._closed:
            raise RuntimeError(CLOSED)
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this client belongs to another event loop: make a client in each loop"
            )

    async def _look_up(self, lookup: Future[None], seconds: float) -> None:
        # Other calls may wait for the same look-up.
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(lookup)), seconds)

    async def _exchange(self, endpoint: Endpoint, call: Call[Any]) -> Any:
        return await self._answer(self._send(endpoint, call, call.remaining()))

    def _start_rpc(self, rpc: Any, message: Any, timeout: float, metadata: Any = None) -> Any:
        return rpc(message, timeout=timeout, metadata=metadata)

    async def _answer(self, running: Any) -> Any:
        try:
            return await running
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and not (task and task.cancelling()):
                raise RuntimeError(CLOSED) from None
            raise

    async def _next(self, queue: Any, seconds: float | None) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await queue.get()
        except TimeoutError:
            return None

    def _when_done(self, running: Any, work: Coroutine[Any, Any, None]) -> None:
        self._run_in_background(work)

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        # The event loop itself keeps only weak references to tasks.
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _close_connection(self, connection: Connection) -> None:
        self._run_in_background(connection.channel.close())
