"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

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


class AsyncClient(BaseClient):
    """Scores interactions on a Tipstaff server: `Client` for asyncio, with the same arguments.

        async with AsyncClient("localhost:50051", evaluator="support-faithfulness") as client:
            score = await client.score(input=question, output=answer, ground_truth=passages)
            if not score.passed: ...

    Make one and keep it. Its connections open with the first calls, serve any number of concurrent
    calls and reconnect by themselves. It may be made outside of an event loop, and belongs to the
    loop of its first call. Cancelling a task also cancels its call, here and on the server.

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
        timeout: float | None = None,
        on_failure: OnFailure | None = None,
    ) -> list[Score | ScoringError]:
        """Scores many interactions in one call; all as for `Client.score_batch`."""
        call = self._batch_call(
            interactions,
            evaluator=evaluator,
            version=version,
            explain=explain,
            timeout=timeout,
            on_failure=on_failure,
        )
        return call.unsent() if call.message is None else await self._run(call)

    async def evaluators(self, *, timeout: float | None = None) -> list[EvaluatorInfo]:
        """Lists what the server offers; as `Client.evaluators`."""
        return await self._run(self._evaluators_call(timeout))

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

    async def _run(self, call: Call[Result]) -> Result:
        try:
            response = await self._ask(call)
        except (grpc.RpcError, OSError) as failure:
            return self._failed(call, failure)
        return call.answered(response)

    async def _ask(self, call: Call[Any]) -> Any:
        self._check_usable()
        if lookup := self._addresses.refresh():
            # Other calls may wait for the same look-up.
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(lookup)), call.remaining())
        self._pool.update(self._addresses.current)
        if not self._pool.alone:
            self._probe()
            return await self._race(call, self._attempts(call))
        # With one address there is nothing to race.
        endpoint = self._pool.pick()
        call.address = endpoint.address
        try:
            response = await self._answer(self._send(endpoint, call, call.remaining()))
        except grpc.RpcError as failure:
            attempts = self._attempts(call)
            if not attempts.go_on(endpoint, Status.of_call(failure)):
                raise
        else:
            self._budget.deposit()
            return response
        finally:
            self._pool.release(endpoint)
        return await self._race(call, attempts)

    async def _race(self, call: Call[Any], attempts: Attempts) -> Any:
        """Makes attempts that may overlap, and takes the first answer."""
        results: asyncio.Queue[Any] = asyncio.Queue()
        running: dict[Any, Attempt] = {}
        try:
            while True:
                if attempt := self._start(attempts, call):
                    rpc = self._send(attempt.endpoint, call, attempts.remaining())
                    running[rpc] = attempt
                    rpc.add_done_callback(results.put_nowait)
                try:
                    async with asyncio.timeout(attempts.wait()):
                        rpc = await results.get()
                except TimeoutError:
                    continue
                attempt = running.pop(rpc)
                try:
                    response = await self._answer(rpc)
                except grpc.RpcError as failure:
                    if attempts.finish(attempt, Status.of_call(failure)):
                        raise
                else:
                    attempts.finish(attempt, None)
                    return response
        finally:
            for rpc in running:
                rpc.cancel()
            attempts.close()

    def _send(self, endpoint: Endpoint, call: Call[Any], timeout: float) -> Any:
        method = getattr(self._connection(endpoint).stub, call.method)
        return method(call.message, timeout=timeout)

    async def _answer(self, rpc: Any) -> Any:
        """Waits for a reply; raises RuntimeError if the client was closed meanwhile."""
        try:
            return await rpc
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and not (task and task.cancelling()):
                raise RuntimeError(CLOSED) from None
            raise

    def _probe(self) -> None:
        """Starts the probes that are due."""
        for endpoint in self._pool.due_probes():
            self._run_in_background(self._check_health(endpoint))

    async def _check_health(self, endpoint: Endpoint) -> None:
        serving = False
        try:
            check = self._connection(endpoint).check_health
            serving = is_serving(grpc.StatusCode.OK, await check(b"", timeout=PROBE_SECONDS))
        except grpc.RpcError as failure:
            serving = is_serving(failure.code())
        finally:
            self._pool.probed(endpoint, serving)

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        # The event loop itself keeps only weak references to tasks.
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

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

    def _connection(self, endpoint: Endpoint) -> Connection:
        if endpoint.connection is None:
            options = list(self._channel_options.items())
            endpoint.connection = Connection.over(
                grpc.aio.insecure_channel(endpoint.address, options)
                if self._credentials is None
                else grpc.aio.secure_channel(endpoint.address, self._credentials, options)
            )
        return endpoint.connection

    def _close_connection(self, connection: Connection) -> None:
        self._run_in_background(connection.channel.close())
